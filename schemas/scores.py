"""Scores: a named number or boolean on a run or a step, with its history of revisions."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.exposures import Assignment
from upshot.schemas.fields import Attributes, Count, Event, Id, Instant, Items, Name, Text, Value
from upshot.schemas.ids import fact_id

#: `outcome`: outcomes decided. `deadline`: nothing came, the rule's `else` counts. `expired`: nothing came
#: and the rule gives no score. `given`: somebody gave the score. `reopened`: the wait turned out to have been
#: opened earlier, and the earlier decision no longer counts. `followup`: a follow-up gave the score before
#: receiving any answer. `rescored`: the score comes from other code than the deciding code, see `upshot
#: rescore`; a rescored value counts over all decided values, not over given ones. `cancelled`: the wait or
#: the follow-up was withdrawn, there is no score.
Reason = Literal["outcome", "deadline", "expired", "given", "reopened", "followup", "rescored", "cancelled"]


class Score(Event):
    """One revision of a score; the latest revision with a value is the current score.

    A score given directly needs `run_id`, `name` and `value` alone. Such a score has the identity (run, step,
    name, key): given again, the later by `decided_at` counts and the earlier stays as history.
    """

    score_id: Id | None = Field(
        None, description="The id shared by all revisions; made from the score's subject matter."
    )
    run_id: Id = Field(description="The run that the score is about; the record's key.")
    step_id: Id | None = Field(None, description="The step that the score is about, if not the whole run.")
    name: Name = Field(description="The name of the score, such as `merged`.")
    value: Value | None = Field(
        None, description="A boolean or a finite number; null where the wait expired."
    )
    key: Id | None = Field(
        None, description="Tells apart scores of one name on one run; repeats with one key are one score."
    )
    revision: Count = Field(1, description="From 1, one more for each change of the score.")
    supersedes: Count | None = Field(None, description="The revision replaced by this revision.")
    reason: Reason = Field(
        "given",
        description="`outcome`: outcomes decided. `deadline`: nothing came, the rule's `else` counts. "
        "`expired`: nothing came and the rule gives no score. `given`: somebody gave the "
        "score. `reopened`: the earlier decision doesn't count any more, the wait is open "
        "again. `followup`: a follow-up gave the score before receiving any answer. "
        "`rescored`: the score comes from another version of the scorer. `cancelled`: the "
        "wait or the follow-up was withdrawn.",
    )
    late: bool = Field(False, description="Whether the outcome arrived after the deadline was evaluated.")
    subject: Id | None = Field(None, description="The subject of the answered wait.")
    wait_id: Id | None = Field(None, description="The answered wait.")
    outcome_id: Id | None = Field(None, description="The deciding outcome.")
    occurred_at: Instant | None = Field(
        None, description="The time of the deciding outcome, or the deadline."
    )
    decided_at: Instant | None = Field(
        None, description="When the decision was made; the record's timestamp where absent."
    )
    agent: Name | None = Field(None, description="The run's agent.")
    source: Name | None = Field(None, description="Who gave it.")
    comment: Text | None = Field(None, description="Why, in words.")
    exposures: Items[Assignment] = Field(default_factory=list, description="The experiments of its run.")
    attributes: Attributes = Field(default_factory=dict, description="Free facts.")

    @model_validator(mode="after")
    def _given_has_value(self) -> Self:
        if self.reason == "given" and self.value is None:
            raise PydanticCustomError("not_a_value", "a score needs a value: a number or a boolean")
        return self

    @property
    def identity(self) -> str:
        """The id shared by all revisions."""
        return self.score_id or given_score_id(self.run_id, self.step_id, self.name, self.key)


def given_score_id(run_id: str, step_id: str | None, name: str, key: str | None) -> str:
    """The id of a score given without an id."""
    return fact_id("given", run_id, step_id or "", name, key or "")


__all__ = ["Reason", "Score", "given_score_id"]

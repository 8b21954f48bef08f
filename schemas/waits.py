"""Waits: pending scorers of a run about a subject, with a rule and a deadline."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Annotated, Any, Literal, Self

from jmespath.exceptions import JMESPathError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from upshot.schemas.exposures import Assignment
from upshot.schemas.expressions import ANY_OUTCOME, LEAST_STEPS, OverBudget, compiled
from upshot.schemas.fields import (
    Attributes,
    Count,
    Event,
    Id,
    Instant,
    Items,
    Name,
    Named,
    Tolerance,
    Value,
    Window,
)
from upshot.schemas.ids import fact_id

Mode = Literal["first", "last", "all", "count", "sum"]


#: Brackets, stars and signs of one path: each may be a level, and the parser calls itself for each.
_MOST_LEVELS = 50

#: Outcome types of a rule whose paths are checked, and steps for all of them: more would be work for every
#: new rule.
_MOST_CHECKED, _MOST_STEPS_OF_CHECK = 100, 10 * LEAST_STEPS


def _compiles(path: str) -> str:
    if sum(map(path.count, "([{*!&")) > _MOST_LEVELS:
        raise PydanticCustomError(
            "bad_path", "has more than {most} brackets, stars and signs", {"most": _MOST_LEVELS}
        )
    try:
        compiled(path)
    except JMESPathError as error:
        raise PydanticCustomError(
            "bad_path", "is no JMESPath expression: {error}", {"error": str(error)}
        ) from None
    return path


def steps_of(path: str, where: str) -> int:
    """How many steps a path over an outcome takes at the least.

    Raises PydanticCustomError where that is too many.
    """
    try:
        return compiled(path).least_steps(ANY_OUTCOME, LEAST_STEPS)
    except OverBudget as error:
        raise PydanticCustomError(
            "bad_path",
            "{where}: the path {path} can't be evaluated, whatever the outcome says: {error}",
            {"where": where, "path": path, "error": str(error)},
        ) from None


#: A JMESPath expression over the outcome: `data.merged`, `data.items[0].price`.
Path = Annotated[StrictStr, Field(min_length=1, max_length=500), AfterValidator(_compiles)]


def _path_or_value(value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    raise PydanticCustomError("not_a_score", "must be a number, a boolean or a path such as data.merged")


class Match(BaseModel):
    """The reading of outcomes of one type."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    score: Annotated[Path | Value, BeforeValidator(_path_or_value)] | None = Field(
        None, description="A constant, or a path into the outcome to a number or a boolean."
    )
    when: Path | None = Field(None, description="Counts only the outcomes for which this path gives true.")
    times: Value | None = Field(
        None, description="The score is multiplied by this number: -1 takes refunds from a sum of payments."
    )


class Rule(BaseModel):
    """How outcomes become a score.

    Modes: `first` and `last` take the earliest and the latest matching outcome of the window by the outcome's
    own time (ties by `sequence`, by the record's timestamp, by id); `all` is decided once every listed type
    came, with the least of their scores (for booleans: whether all were true); `count` counts the matching
    outcomes and `sum` adds their scores. `last`, `count` and `sum` give the present score and revise the
    score until the deadline.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    on: Named[Match] = Field(min_length=1, description="Outcome types and the score of each.")
    within: Window = Field(
        description="How long after `opened_at` outcomes count (ISO 8601, such as `P14D`)."
    )
    otherwise: Value | None = Field(
        None,
        alias="else",
        description="The score at the deadline where nothing decided: a value, or null for no score, "
        "recorded as expired. Absent means 0 for `count` and `sum`.",
    )
    mode: Mode = Field("first", description="How several outcomes become one score.")

    @model_validator(mode="after")
    def _stays_within_budget(self) -> Self:
        left = _MOST_STEPS_OF_CHECK
        for kind, match in islice(self.on.items(), _MOST_CHECKED):
            for path in (match.score, match.when):
                if isinstance(path, str) and left >= LEAST_STEPS:
                    left -= steps_of(path, kind)
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        constants = [
            m.score for m in self.on.values() if m.score is not None and not isinstance(m.score, str)
        ]
        if self.otherwise is not None:
            constants.append(self.otherwise)
        if len({isinstance(constant, bool) for constant in constants}) > 1:
            raise PydanticCustomError("mixed_kinds", "mixes numbers and booleans in one score")
        if self.mode != "count" and any(m.score is None for m in self.on.values()):
            raise PydanticCustomError("no_score", "every outcome type needs a score, except in mode count")
        if any(isinstance(m.times, bool) for m in self.on.values()):
            raise PydanticCustomError("mixed_kinds", "times is a number, not a boolean")
        if any(isinstance(m.score, bool) and m.times is not None for m in self.on.values()):
            raise PydanticCustomError("mixed_kinds", "times multiplies numbers, and a score is a boolean")
        if self.mode in ("count", "sum") and any(isinstance(c, bool) for c in constants):
            raise PydanticCustomError("mixed_kinds", "counts and sums are numbers, not booleans")
        return self

    @property
    def nothing_came(self) -> bool | float | None:
        """The score at the deadline where no outcome decided; None for no score."""
        if self.mode in ("count", "sum") and "otherwise" not in self.model_fields_set:
            return 0.0
        return self.otherwise


class After(BaseModel):
    """An event received before: of the same types, only events following in the order of events count.

    The order is by `time`, then `sequence` (none, numbers, texts), then the least timestamp of the event's
    records, then `id` and `source`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    types: Items[Name] = Field(
        min_length=1, description="The types that were listened to when the event was heard."
    )
    time: Instant = Field(description="When the event happened.")
    id: Id = Field(description="The event's id.")
    source: Annotated[StrictStr, Field(max_length=512)] = Field(
        "", description="The system that reported the event."
    )
    sequence: StrictInt | StrictStr | None = Field(
        None, description="The event's place among the events of one time, where its source states the place."
    )
    recorded_at: Instant | None = Field(None, description="The least timestamp of the event's records.")


class Wait(Event):
    """A pending scorer: run `run_id` waits for outcomes about `subject`.

    Outcomes count from `since` to `opened_at` + `rule.within`, both included, by their own time; outcomes
    before `since` by no more than `tolerance` count too, for clocks that differ. An instant written in whole
    seconds covers the whole second, here and in outcomes: the covered span has to meet the window. Of two
    waits with one id about one subject the wait opened first counts: to ask again, use another id. A wait can
    be cancelled (see WaitCancellation), and opened again by a higher `revision`.
    """

    wait_id: Id | None = Field(
        None, description="Unique for the subject; made from run, step, name and subject where absent."
    )
    run_id: Id = Field(description="The run opening the wait.")
    step_id: Id | None = Field(
        None, description="The step opening the wait, where the score belongs to a step."
    )
    name: Name = Field(description="The name of the score.")
    subject: Id = Field(description="The awaited outcomes' subject; the record's key.")
    opened_at: Instant | None = Field(
        None, description="When the wait began; the record's timestamp where absent."
    )
    since: Instant | None = Field(None, description="From when outcomes count; `opened_at` where absent.")
    tolerance: Tolerance | None = Field(
        None,
        description="How far outcomes may lie before `since` (ISO 8601, such as `PT1S` or `PT0S`); the "
        "setting `UPSHOT_SINCE_TOLERANCE` where absent.",
    )
    after: Items[After] = Field(
        default_factory=list,
        description="Events received before: of their types only later events count.",
    )
    rule: Rule = Field(description="How outcomes become the score.")
    revision: Count = Field(
        0,
        description="Of two waits with one id about one subject the higher revision counts; a wait "
        "cancelled with a lower revision is opened again.",
    )
    agent: Name | None = Field(None, description="The run's agent; the score inherits it.")
    exposures: Items[Assignment] = Field(
        default_factory=list,
        description="The experiments of the run; the score inherits them.",
    )
    attributes: Attributes = Field(default_factory=dict, description="Facts inherited by the score.")
    reply_to: Id | None = Field(
        None,
        description="The follow-up opening the wait: its answer goes to topic `resumptions`, and there's "
        "no score.",
    )

    @model_validator(mode="after")
    def _since_before_deadline(self) -> Self:
        if (
            self.since is not None
            and self.opened_at is not None
            and self.since > self.opened_at + self.rule.within
        ):
            raise PydanticCustomError("absurd_time", "since lies after the deadline: no outcome could count")
        return self

    def identified(self, recorded_at: datetime) -> Wait:
        """This wait with its id and its opening time filled in."""
        wait_id = self.wait_id or fact_id("wait", self.run_id, self.step_id or "", self.name, self.subject)
        return self.model_copy(update={"wait_id": wait_id, "opened_at": self.opened_at or recorded_at})


__all__ = ["After", "Match", "Mode", "Rule", "Wait"]

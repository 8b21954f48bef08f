"""Alerts: a rule noticed something bad, or noticed that it is over."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Count, Event, Id, Instant, Items, Name, Named, Seconds, Text, Value

#: The kinds of rules. `score`: a score crossed a line. `rate`: the mean of a window of scores did. `silence`:
#: nothing came. `pending_for`: a wait is open too long. `expired`: a wait ended without an answer.
#: `guardrail`: a variant of an experiment is worse than allowed.
AlertKind = Literal["score", "rate", "silence", "pending_for", "expired", "guardrail"]
AlertState = Literal["firing", "resolved"]
Severity = Literal["page", "warning", "info"]
#: Fields without which an alert about a score can't be understood.
_OF_A_SCORE = ("run_id", "score_id", "value")


class Alert(Event):
    """One state of one alert: firing, or resolved. The state with the highest revision counts."""

    alert_id: Id = Field(
        description="The record's key; made from the app, the rule's name and the cause, never from the "
        "revision: repetitions, replays and corrections of one cause are one alert."
    )
    name: Name = Field(description="The rule.")
    kind: AlertKind = Field(
        "score",
        description="`score`: a score crossed a line. `rate`: a window of scores did. `silence`: nothing "
        "came. `pending_for`: a wait is open too long. `expired`: a wait ended unanswered. `guardrail`: a "
        "variant of an experiment is worse than allowed.",
    )
    state: AlertState = Field("firing", description="`firing`, or `resolved` once the cause is gone.")
    cause: Text = Field(
        "",
        description="The cause: the score's id; or the group and the end of the first breaching window; or "
        "the wait; or experiment, phase, variant and metric.",
    )
    revision: Count = Field(
        1,
        description="Orders the states of one alert: the highest counts. For rules about single scores the "
        "score's revision; of given scores microseconds since 1970, of rescored ones milliseconds.",
    )
    severity: Severity = Field("warning", description="How urgent.")
    group: Named[Text] = Field(
        default_factory=dict,
        description="The alert's subject by names: agent, attributes, variant, experiment.",
    )
    run_id: Id | None = Field(None, description="The run that the alert is about, if one.")
    score_id: Id | None = Field(None, description="The score that crossed the line, if one.")
    value: Value | None = Field(None, description="The score's value, or the window's.")
    threshold: Text = Field("", description="The line, in words: `below 0.6`.")
    message: Text = Field("", description="The message for people.")
    raised_at: Instant = Field(
        description="When the state began: the score's time, the window's end, or the deadline."
    )
    detected_at: Instant | None = Field(None, description="When the role `alerts` noticed.")
    notify: Items[Name] = Field(
        default_factory=list, description="Names of receivers; none: the alert is recorded only."
    )
    digest_seconds: Seconds | None = Field(
        None, description="Gathers notices for so long, after the first; absent: each goes out at once."
    )
    cooldown_seconds: Seconds | None = Field(
        None, description="How long the same rule and group send nothing further."
    )
    cap_per_hour: Count | None = Field(
        None,
        description="How many firing alerts of the rule each receiver gets in an hour; absent: any number.",
    )
    silent: Text = Field(
        "",
        description="Why nobody is notified, where the alert is recorded only: `older than max_age`, "
        "`replay`, `rescore`, `muted`.",
    )
    links: Text | None = Field(None, description="The URL of a page about the alert.")

    @model_validator(mode="after")
    def _of_a_score(self) -> Self:
        if missing := missing_of_a_score(self):
            raise PydanticCustomError(
                "missing", "{field}: is missing, an alert of kind score needs it", {"field": missing}
            )
        return self


def missing_of_a_score(alert: Alert) -> str | None:
    """The first absent field of a firing alert about a score; None for complete alerts."""
    if alert.kind != "score" or alert.state != "firing":
        return None
    return next((name for name in _OF_A_SCORE if getattr(alert, name) is None), None)


__all__ = ["Alert", "AlertKind", "AlertState", "Severity", "missing_of_a_score"]

"""Rules of alerts: each record is the whole truth of one rule, its mute included."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.alerts import AlertKind, Severity
from upshot.schemas.fields import Count, Event, Instant, Items, Name, Named, Text, Value, Window

Number = Annotated[float, Field(allow_inf_nan=False)]
Sure = Annotated[float, Field(gt=0.5, lt=1, allow_inf_nan=False)]
Drop = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: `decided`: scores decided within the window. `matured`: scores of waits opened within the window's length
#: before the window's end, less the waits' own time.
Population = Literal["decided", "matured"]
DEFAULT_EVERY, DEFAULT_WINDOW = timedelta(minutes=5), timedelta(hours=1)
SHORTEST_EVERY, LONGEST_EVERY = timedelta(seconds=10), timedelta(days=1)

_TIMED: tuple[AlertKind, ...] = ("rate", "silence", "pending_for")
#: The kinds to which a field belongs; a field elsewhere is a mistake, never silently without effect.
_BELONGS: dict[str, tuple[AlertKind, ...]] = {
    "below": ("score", "rate"),
    "above": ("score", "rate"),
    "equals": ("score",),
    "drop": ("rate",),
    "versus": ("rate",),
    "recover": ("rate",),
    "min_n": ("rate",),
    "sure": ("rate",),
    "population": ("rate",),
    "window": _TIMED,
    "every": (*_TIMED, "guardrail"),
    "by": ("rate", "silence"),
    "agent": ("score", "rate", "silence", "pending_for", "expired"),
    "where": ("score", "rate", "silence", "pending_for", "expired"),
    "variants": ("score", "rate", "expired"),
    "score": ("score", "rate", "silence", "pending_for", "expired"),
    "experiment": ("guardrail",),
    "metric": ("guardrail",),
    "stop_variant": ("guardrail",),
}
#: The fields that decide nothing about when a rule fires; all others do.
_BESIDE_THE_JUDGEMENT = frozenset(
    (
        "schema_version",
        "stop_variant",
        "max_age",
        "severity",
        "notify",
        "digest",
        "cooldown",
        "cap",
        "message",
        "muted_until",
        "muted_reason",
        "version",
        "changed_at",
        "changed_by",
        "judged_since",
    )
)


class AlertRule(Event):
    """A rule in its present state; the latest record of a name counts, and says all about the rule."""

    name: Name = Field(description="The rule; the record's key.")
    kind: AlertKind = Field(
        description="`score`: each score against a line. `rate`: a window of scores. `silence`: no score for "
        "so long. `pending_for`: a wait open for too long. `expired`: a wait that ended unanswered. "
        "`guardrail`: a variant of an experiment that is worse than allowed, or a broken split."
    )
    score: Name | None = Field(None, description="The name of the score, or of the wait's score.")
    agent: Name | None = Field(None, description="Only runs of this agent.")
    where: Named[Text] = Field(
        default_factory=dict, description="Only with these attributes, each compared as text."
    )
    variants: Named[Name] = Field(
        default_factory=dict, description="Only with these variants, by experiment."
    )
    below: Number | None = Field(None, description="Fires under this line.")
    above: Number | None = Field(None, description="Fires over this line.")
    equals: Value | None = Field(None, description="Fires at this value: `false`, or a number.")
    drop: Drop | None = Field(
        None, description="Fires where the window's mean is lower than the earlier window's by this much."
    )
    versus: Window | None = Field(None, description="How much earlier the compared window ends.")
    recover: Number | None = Field(
        None, description="The line for resolving; the firing line itself where absent."
    )
    min_n: Annotated[int, Field(strict=True, ge=1, lt=2**53)] = Field(
        1, description="The least number of scores in a window; with fewer the state stays."
    )
    sure: Sure | None = Field(
        None,
        description="The bound of the window's mean must cross the line, with this one-sided confidence; "
        "the estimate alone where absent.",
    )
    population: Population = Field(
        "decided",
        description="`decided`: scores decided in the window. `matured`: scores of runs whose waits' time "
        "ended in the window, so that quick outcomes aren't overcounted.",
    )
    window: Window | None = Field(
        None, description="The window's length; the longest silence; how long a wait may be open."
    )
    every: Window | None = Field(None, description="How often the rule is judged.")
    by: Items[Name] = Field(
        default_factory=list,
        max_length=5,
        description="Judges each group alone: `agent`, `variant:EXPERIMENT`, or names of attributes.",
    )
    experiment: Name | None = Field(None, description="The experiment; absent: every running one.")
    metric: Name | None = Field(None, description="The guardrail metric; absent: all of them.")
    stop_variant: StrictBool = Field(
        False,
        description="Whether a firing guardrail sets the variant's weight to 0 in the registry, in a new "
        "phase whose reason names the alert.",
    )
    max_age: Window = Field(
        timedelta(days=1), description="Older causes are recorded, and nobody is notified."
    )
    severity: Severity = Field("warning", description="How urgent.")
    notify: Items[Name] = Field(
        default_factory=list, description="Names of receivers; none: alerts are recorded only."
    )
    digest: Window | None = Field(None, description="Gathers notices for so long, after the first.")
    cooldown: Window | None = Field(
        None, description="How long the same rule and group send nothing further."
    )
    cap: Annotated[int, Field(strict=True, ge=1, lt=2**31)] = Field(
        100, description="The most alerts an hour that anybody is notified of; more are recorded only."
    )
    message: Text = Field(
        "", description="The message for people; `{value}` and its like stand for facts of the alert."
    )
    muted_until: Instant | None = Field(None, description="Until when nobody is notified.")
    muted_reason: Text = Field("", description="Why it is muted.")
    enabled: StrictBool = Field(True, description="Whether the rule is judged.")
    version: Count = Field(1, description="One more with each change.")
    changed_at: Instant = Field(description="When it was changed.")
    judged_since: Instant | None = Field(
        None,
        description="Since when the rule judges the same as now; `changed_at` where absent. Mutes and other "
        "receivers begin nothing anew.",
    )
    changed_by: Text = Field("", description="Who changed it, or from which file.")

    @property
    def begins_at(self) -> datetime:
        """Since when the rule judges the same as now: the first window, or silence, begins then."""
        return self.judged_since or self.changed_at

    @property
    def judgement(self) -> dict[str, object]:
        """All that decides when the rule fires."""
        return self.model_dump(exclude=set(_BESIDE_THE_JUDGEMENT))

    @property
    def judged_every(self) -> timedelta:
        """How often the rule is judged."""
        return self.every or DEFAULT_EVERY

    @property
    def length(self) -> timedelta:
        """The window's length."""
        return self.window or DEFAULT_WINDOW

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        for name in sorted(self.model_fields_set & _BELONGS.keys()):
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if self.kind not in _BELONGS[name] and getattr(self, name) != default:
                kinds = " or ".join(_BELONGS[name])
                raise _wrong(f"`{name}` has no effect on a rule of kind {self.kind}: it is for {kinds}")
        return self

    @model_validator(mode="after")
    def _has_a_line(self) -> Self:
        lines = [name for name in ("below", "above", "equals", "drop") if getattr(self, name) is not None]
        if self.kind in ("score", "rate") and len(lines) != 1:
            choice = "`below`, `above` or `equals`" if self.kind == "score" else "`below`, `above` or `drop`"
            found = f"both `{lines[0]}` and `{lines[1]}`" if lines else "no line"
            raise _wrong(f"has {found}: write one of {choice}")
        if self.kind in ("score", "rate", "silence", "pending_for") and self.score is None:
            raise _wrong("names no score: write `score: NAME`")
        if (self.drop is None) != (self.versus is None):
            raise _wrong("needs `drop` and `versus` together: `drop: 0.1` and `versus: P7D`")
        return self

    @model_validator(mode="after")
    def _can_end(self) -> Self:
        if self.recover is not None:
            if self.below is not None and self.recover < self.below:
                raise _wrong("`recover` lies under `below`: it would never resolve in order; write it over")
            if self.above is not None and self.recover > self.above:
                raise _wrong("`recover` lies over `above`: write it under")
            if self.drop is not None:
                raise _wrong("`recover` has no effect beside `drop`: leave it out")
        if self.kind in ("silence", "pending_for") and self.window is None:
            raise _wrong("says not for how long: write `window: PT30M`")
        if self.every is not None and not SHORTEST_EVERY <= self.every <= LONGEST_EVERY:
            raise _wrong("`every` must be from PT10S to P1D")
        return self


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("bad_rule", "{text}", {"text": text})


__all__ = [
    "DEFAULT_EVERY",
    "DEFAULT_WINDOW",
    "SHORTEST_EVERY",
    "AlertRule",
    "Population",
]

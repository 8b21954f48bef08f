"""The registry of experiments: each record is the whole truth of one experiment, its past phases included."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.expressions import compiled
from upshot.schemas.fields import Event, Instant, Items, Name, Named, Text, Window

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Strategy = Literal["fixed", "weighted", "bucket", "custom", "adaptive", "external"]
Status = Literal["draft", "running", "stopped", "shipped"]

#: Slots of a layer: experiments of one layer with slots apart share no unit.
LAYER_SLOTS = 1000
_DAYS = timedelta(days=3660)


def _audience(path: str) -> str:
    try:
        compiled(path)
    except JMESPathError as error:
        raise PydanticCustomError(
            "bad_path", "is no JMESPath expression: {error}", {"error": str(error)}
        ) from None
    return path


def _not_negative(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= _DAYS:
        raise PydanticCustomError("absurd_time", "must be from zero to P3660D")
    return value


Audience = Annotated[StrictStr, Field(min_length=1, max_length=500), AfterValidator(_audience)]
Slot = Annotated[StrictInt, Field(ge=0, le=LAYER_SLOTS)]
Span = Annotated[timedelta, AfterValidator(_not_negative)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Phase(_Part):
    """A time of constant weights; results never pool units of two phases."""

    phase: Name = Field(description="The phase.")
    started_at: Instant = Field(description="From when its weights count.")
    weights: Named[Weight] = Field(min_length=1, description="Variants and their weights.")
    reason: Text = Field("", description="Why the phase was opened.")


class Layer(_Part):
    """The experiment's slots in a layer: a unit is in the experiment if its slot lies in a range."""

    name: Name = Field(description="The layer; all its experiments randomise the same kind of unit.")
    slots: Items[tuple[Slot, Slot]] = Field(
        min_length=1,
        description="Ranges of slots from 0 to 1000, each with its first slot and the slot after its last.",
    )

    def holds(self, slot: int) -> bool:
        """Whether a slot is the experiment's."""
        return any(first <= slot < after for first, after in self.slots)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if any(first >= after for first, after in self.slots):
            raise PydanticCustomError("bad_slots", "has a range of slots that ends before it begins")
        return self


class Holdout(_Part):
    """Units kept out of all experiments naming the holdout."""

    name: Name = Field(description="The holdout.")
    share: Share = Field(description="The share of units kept out.")


class ExperimentMetric(_Part):
    """A metric of the results, and its part in the verdict."""

    name: Name = Field(
        description="A score's name, or `cost_usd`, `input_tokens`, `output_tokens`, `seconds`."
    )
    kind: Literal["rate", "mean"] = Field("rate", description="`rate` of a boolean, or `mean` of a number.")
    role: Literal["decision", "guardrail", "exploratory"] = Field(
        "decision",
        description="`decision`: the verdict is about this metric. `guardrail`: must not get worse by more "
        "than `margin`. `exploratory`: shown, never decided on.",
    )
    better: Literal["higher", "lower"] = Field("higher", description="The good direction.")
    window: Window | None = Field(
        None,
        description="How long after the exposure outcomes count: the waits' `within`; none for what is known "
        "at the run's end.",
    )
    horizon: Span = Field(
        timedelta(0), description="How long later runs of the unit count; zero: its first run alone."
    )
    grace: Span = Field(
        timedelta(hours=1), description="How much later than the window outcomes may be recorded."
    )
    missing: Literal["zero", "exclude"] = Field(
        "zero",
        description="The value of a unit without a score: zero (false), or the unit is left out and counted.",
    )
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="How much worse a guardrail may get, as a share of the control: 0.1 is 10 %."
    )


class Shipped(_Part):
    """The decision at the end of an experiment."""

    variant: Name = Field(description="The winner.")
    reason: Text = Field(description="Why.")
    at: Instant = Field(description="When it was decided.")
    results: Named[Any] = Field(default_factory=dict, description="The results at that moment.")


class Experiment(Event):
    """An experiment in its present state; the latest record of a key counts, and says all about it."""

    experiment: Name = Field(description="The experiment; the record's key.")
    phase: Name = Field(
        "1", description="The present phase: a change of weights opens a new phase, traffic doesn't."
    )
    strategy: Strategy = Field("weighted", description="How a run gets its variant.")
    variants: Named[Weight] = Field(
        min_length=1, description="Variants and their weights in the present phase."
    )
    reason: Text = Field("", description="Why it was changed.")
    changed_at: Instant = Field(description="When it was changed.")
    status: Status = Field(
        "running",
        description="`draft` and `stopped`: all get the control without exposure. `shipped`: all get the "
        "winner.",
    )
    hash_version: Name = Field("upshot-1", description="The hash of assignments.")
    control: Name | None = Field(
        None, description="The variant compared with; given to all outside the experiment."
    )
    unit: Name = Field(
        "run", description="The kind of randomised unit, such as `user`; `run` for each run alone."
    )
    layer: Layer | None = Field(None, description="The layer with the experiment's slots.")
    holdout: Holdout | None = Field(None, description="The holdout that the experiment respects.")
    audience: Audience | None = Field(
        None,
        description="A JMESPath over `attributes`, `agent` and `version` of the run; only runs giving true "
        "take part.",
    )
    traffic: Share = Field(1.0, description="The share of units in the experiment.")
    phases: Items[Phase] = Field(
        default_factory=list,
        description="All phases so far, the present one last; one phase since `changed_at` where absent.",
    )
    metrics: Items[ExperimentMetric] = Field(default_factory=list, description="The metrics of the results.")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="The error allowed, over all looks together."
    )
    planned_units: Annotated[StrictInt, Field(ge=1, lt=2**53)] | None = Field(
        None,
        description="Units planned for all arms together, fixed at the start: intervals are narrowest there.",
    )
    mde: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="The least effect worth finding."
    )
    cap: Window | None = Field(None, description="How long the experiment may run.")
    shipped: Shipped | None = Field(None, description="The decision, once there is one.")

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.control is not None and self.control not in self.variants:
            raise PydanticCustomError("bad_control", "has a control that is none of its variants")
        if self.phases and (self.phases[-1].phase, self.phases[-1].weights) != (self.phase, self.variants):
            raise PydanticCustomError("bad_phases", "has a last phase other than its phase and variants")
        if len({phase.phase for phase in self.phases}) < len(self.phases):
            raise PydanticCustomError("bad_phases", "has two phases of one name")
        if self.shipped is not None and self.shipped.variant not in self.variants:
            raise PydanticCustomError("bad_variant", "has shipped a variant that is none of its variants")
        return self

    @property
    def present(self) -> Phase:
        """The present phase."""
        return self.all_phases[-1]

    @property
    def all_phases(self) -> list[Phase]:
        """All phases, the present one last."""
        alone = Phase(phase=self.phase, started_at=self.changed_at, weights=self.variants, reason=self.reason)
        return list(self.phases) or [alone]


__all__ = [
    "LAYER_SLOTS",
    "Experiment",
    "ExperimentMetric",
    "Holdout",
    "Layer",
    "Phase",
    "Shipped",
    "Status",
    "Strategy",
    "Weight",
]

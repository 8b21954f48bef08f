"""The definition of an experiment, as assignment needs the definition: from code, or from the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from upshot.errors import Misuse
from upshot.experiments.draws import HASH
from upshot.schemas.experiments import LAYER_SLOTS, Experiment, Holdout, Layer, Status, Strategy
from upshot.schemas.ids import fact_id

#: Where a definition comes from: the registry, the copy of the registry on disk, or the agent's own code.
Source = Literal["registry", "cache", "code"]


@dataclass(frozen=True)
class Definition:
    """What decides about the variant of a unit."""

    name: str
    #: The weights of the present phase.
    weights: Mapping[str, float]
    control: str
    unit: str = "run"
    phase: str = "1"
    strategy: Strategy = "weighted"
    status: Status = "running"
    traffic: float = 1.0
    #: A JMESPath over the facts of the run; None for all runs.
    audience: str | None = None
    layer: Layer | None = None
    holdout: Holdout | None = None
    hash_version: str = HASH
    source: Source = field(default="code", compare=False)


def declared(name: str, weights: Mapping[str, float], *, control: str, unit: str) -> Definition:
    """The definition by code alone. Its phase is named after the weights: other weights are another phase.

    Raises Misuse for weights and controls that can't be meant.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 200:
        raise Misuse(f"an experiment's name is a text of 1 to 200 characters, not {name!r:.100}")
    if not weights:
        raise Misuse(
            f"experiment {name!r} has no arms; write app.experiment({name!r}, {{'plain': …, 'warm': …}})"
        )
    for arm, weight in weights.items():
        _checked(name, arm, weight)
    if not sum(weights.values()) > 0 or not isfinite(sum(weights.values())):
        raise Misuse(f"experiment {name!r}: at least one weight has to be above zero, and their sum finite")
    if control not in weights:
        raise Misuse(f"experiment {name!r}: control={control!r} is none of its arms: {', '.join(weights)}")
    return Definition(
        name,
        {arm: float(weight) for arm, weight in weights.items()},
        control,
        unit=unit,
        phase=phase_of_code(weights),
        strategy="weighted" if unit == "run" else "bucket",
    )


def of_record(record: Experiment, source: Source) -> Definition:
    """The definition by a record of the registry."""
    phase = record.present
    return Definition(
        record.experiment,
        phase.weights,
        record.control or next(iter(sorted(phase.weights))),
        unit=record.unit,
        phase=phase.phase,
        strategy=record.strategy,
        status=record.status,
        traffic=record.traffic,
        audience=record.audience,
        layer=record.layer,
        holdout=record.holdout,
        hash_version=record.hash_version,
        source=source,
    )


def phase_of_code(weights: Mapping[str, float]) -> str:
    """The phase of an experiment declared by code alone."""
    parts = [text for arm in sorted(weights) for text in (arm, repr(float(weights[arm])))]
    return f"code-{fact_id('phase', *parts)[:8]}"


def _checked(name: str, arm: object, weight: object) -> None:
    if not isinstance(arm, str) or not 0 < len(arm) <= 200:
        raise Misuse(f"experiment {name!r}: an arm's name is a text of 1 to 200 characters, not {arm!r:.100}")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not isfinite(weight) or weight < 0:
        raise Misuse(
            f"experiment {name!r}: the weight of {arm!r} is {weight!r:.100}; write a finite number, "
            "0 for an arm given to nobody"
        )


__all__ = ["LAYER_SLOTS", "Definition", "Source", "declared", "of_record", "phase_of_code"]

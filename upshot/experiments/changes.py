"""Changes of an experiment's record: pure, each with the whole truth of before and one thing changed.

Other weights open a phase. What results are judged by (control, unit, metrics, alpha, planned units) is fixed
at the start: no function here changes these.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from upshot.errors import ConfigurationError
from upshot.schemas.experiments import Experiment, Phase, Shipped


def started(record: Experiment, at: datetime) -> Experiment:
    """The record running; a first phase where there is none, else the phases go on."""
    phases = record.phases or [_phase(record.phase, record.variants, at, record.reason)]
    return _changed(record, at, record.reason, status="running", phases=list(phases))


def reweighted(record: Experiment, weights: Mapping[str, float], at: datetime, reason: str) -> Experiment:
    """The record with other weights, in a phase of its own. Raises ConfigurationError."""
    _running(record, "set")
    if dict(weights) == record.variants:
        raise ConfigurationError(f"{record.experiment} has these weights already; nothing was changed")
    if all(weight == 0 for weight in weights.values()):
        raise ConfigurationError("at least one variant needs a weight above zero; nothing was changed")
    if record.control is not None and record.control not in weights:
        raise ConfigurationError(
            f"the control {record.control!r} needs a weight, 0 for nobody; another control "
            "is another experiment"
        )
    return _with_phase(record, weights, at, reason)


def ramped(record: Experiment, traffic: float, at: datetime, reason: str) -> Experiment:
    """The record with other traffic: nobody moves between arms, so the phase goes on."""
    _running(record, "set")
    return _changed(record, at, reason, traffic=traffic)


def restated(record: Experiment, at: datetime) -> Experiment:
    """The record once more, unchanged: over another record that took no notice of it."""
    return _changed(record, at, record.reason, phases=list(record.all_phases))


def stopped(record: Experiment, at: datetime, reason: str) -> Experiment:
    """The record stopped: all get the control without exposure, and what matures still counts."""
    _running(record, "stop")
    return _changed(record, at, reason, status="stopped")


def shipped(
    record: Experiment, variant: str, at: datetime, reason: str, results: Mapping[str, Any]
) -> Experiment:
    """The record shipped: a last phase gives all the winner. Raises ConfigurationError."""
    if record.status == "draft":
        raise ConfigurationError(f"{record.experiment} was never started; nothing was changed")
    if record.status == "shipped":
        raise ConfigurationError(f"{record.experiment} has shipped already; nothing was changed")
    if variant not in record.variants:
        raise ConfigurationError(
            f"{record.experiment} has no variant {variant!r}: {', '.join(record.variants)}; nothing was "
            "changed"
        )
    winner = {name: float(name == variant) for name in record.variants}
    decision = Shipped(variant=variant, reason=reason, at=at, results=dict(results))
    return _changed(_with_phase(record, winner, at, reason), at, reason, status="shipped", shipped=decision)


def _with_phase(record: Experiment, weights: Mapping[str, float], at: datetime, reason: str) -> Experiment:
    phases = record.all_phases
    number = len(phases) + 1
    while str(number) in {phase.phase for phase in phases}:
        number += 1
    phase = _phase(str(number), weights, at, reason)
    given = dict(phase.weights)
    return _changed(record, at, reason, phase=phase.phase, variants=given, phases=[*phases, phase])


def _phase(name: str, weights: Mapping[str, float], at: datetime, reason: str) -> Phase:
    try:
        return Phase(phase=name, started_at=at, weights=dict(weights), reason=reason)
    except ValueError:
        raise ConfigurationError(
            f"weights are finite numbers, none below zero, not {dict(weights)}; nothing was changed"
        ) from None


def _changed(record: Experiment, at: datetime, reason: str, **changed: Any) -> Experiment:
    """Validated anew. Of two changes the later is told by its time, whatever the clocks are."""
    after = max(at, record.changed_at + timedelta(microseconds=1))
    stated = record.model_dump() | {"changed_at": after, "reason": reason} | changed
    parts = {
        name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in stated.items()
    }
    try:
        return Experiment.model_validate(parts)
    except ValueError as error:
        raise ConfigurationError(f"{record.experiment} can't be changed so: {error}") from None


def _running(record: Experiment, verb: str) -> None:
    if record.status != "running":
        raise ConfigurationError(f"{record.experiment} is {record.status}, there is nothing to {verb}")


__all__ = ["ramped", "restated", "reweighted", "shipped", "started", "stopped"]

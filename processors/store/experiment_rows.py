"""Rows of the registry of experiments: every record is kept, the topic keeps the last of each key alone."""

from __future__ import annotations

from upshot.processors.store.packed import Row, earlier_wins, pack_version
from upshot.schemas.experiments import Experiment
from upshot.streams.events.fast import recorded_moment
from upshot.streams.events.instants import micros
from upshot.streams.events.records import Record, place_of


def experiment_row(experiment: Experiment, record: Record) -> Row:
    """A record of the registry. A record read again is the same row."""
    recorded = recorded_moment(record)
    phases = [
        (phase.phase, micros(phase.started_at), _numbers(phase.weights), phase.reason)
        for phase in experiment.all_phases
    ]
    values = (
        experiment.experiment,
        recorded,
        place_of(record).offset,
        experiment.status,
        experiment.phase,
        experiment.strategy,
        _numbers(experiment.variants),
        experiment.control or "",
        experiment.unit,
        float(experiment.traffic),
        experiment.hash_version,
        phases,
        float(experiment.alpha),
        experiment.planned_units,
        experiment.mde,
        experiment.reason,
        micros(experiment.changed_at),
        experiment.model_dump_json(exclude_unset=True),
    )
    return pack_version("raw_experiments", values, earlier_wins(recorded))


def _numbers(weights: dict[str, float]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items()}


__all__ = ["experiment_row"]

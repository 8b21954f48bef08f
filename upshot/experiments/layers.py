"""Layers: experiments with slots apart share no unit, which holds for units of one kind alone."""

from __future__ import annotations

from collections.abc import Iterable

from upshot.errors import ConfigurationError
from upshot.schemas.experiments import Experiment


def check_layer(record: Experiment, others: Iterable[Experiment]) -> None:
    """Refuse an experiment that would share units with a running one of its layer.

    Raises ConfigurationError for another kind of unit, and for slots that a running experiment has.
    """
    if record.layer is None:
        return
    layer = record.layer.name
    for other in others:
        if other.layer is None or other.layer.name != layer or other.experiment == record.experiment:
            continue
        if other.status != "running":
            continue
        if other.unit != record.unit:
            raise ConfigurationError(
                f"{other.experiment} randomises each {other.unit} in the layer {layer}, {record.experiment} "
                f"each {record.unit}: a layer has one kind of unit; nothing was changed"
            )
        if taken := _shared(record.layer.slots, other.layer.slots):
            raise ConfigurationError(
                f"{other.experiment} has the slots {taken[0]}-{taken[1]} of the layer {layer}: experiments "
                "would share units; nothing was changed: choose other slots"
            )


def _shared(slots: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """The first range of slots in both."""
    others = list(others)
    both = ((max(one[0], other[0]), min(one[1], other[1])) for one in slots for other in others)
    return min(((first, after) for first, after in both if first < after), default=None)


__all__ = ["check_layer"]

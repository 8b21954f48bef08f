"""A layer has one kind of unit, and its running experiments have slots apart."""

from __future__ import annotations

from typing import Any

import pytest

from upshot.errors import ConfigurationError
from upshot.experiments.layers import check_layer
from upshot.schemas.experiments import Experiment


def experiment(name: str, *slots: tuple[int, int], layer: str = "support", **changed: Any) -> Experiment:
    stated = {"experiment": name, "variants": {"a": 1, "b": 1}, "changed_at": "2026-05-01T00:00:00Z"}
    if slots:
        changed["layer"] = {"name": layer, "slots": slots}
    return Experiment.model_validate(stated | {"unit": "user"} | changed)


TONE = experiment("tone", (500, 1000), (0, 100))


@pytest.mark.parametrize(
    "other",
    [
        experiment("length", (100, 500)),
        experiment("length", (0, 1000), layer="other"),
        experiment("length", (0, 1000), status="stopped"),
        experiment("length", (0, 1000), unit="ticket", status="draft"),
        experiment("length"),
        experiment("tone", (0, 1000)),
    ],
)
def test_experiments_that_share_nobody(other: Experiment) -> None:
    check_layer(TONE, [other])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (experiment("length", (999, 1000)), r"length has the slots 999-1000 of the layer support"),
        (experiment("length", (50, 600)), r"length has the slots 50-100 "),
        (experiment("length", (100, 500), unit="ticket"), r"randomises each ticket .* tone each user"),
    ],
)
def test_experiments_that_would_share_units_are_refused(other: Experiment, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says + ".*nothing was changed"):
        check_layer(TONE, [experiment("first"), other])

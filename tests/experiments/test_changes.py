"""Changes of an experiment's record: phases are kept, and what results are judged by stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from upshot.errors import ConfigurationError
from upshot.experiments.changes import ramped, reweighted, shipped, started, stopped
from upshot.schemas.experiments import Experiment

AT = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DRAFT = Experiment(
    experiment="tone",
    variants={"plain": 9, "warm": 1},
    control="plain",
    changed_at=AT,
    status="draft",
    alpha=0.1,
)


def test_the_life_of_an_experiment() -> None:
    record = started(DRAFT, AT)
    assert (record.status, record.phase, len(record.phases)) == ("running", "1", 1)
    record = ramped(record, 0.5, AT + DAY, "fine so far")
    assert (record.traffic, record.phase) == (0.5, "1"), "traffic opens no phase"
    record = reweighted(record, {"plain": 1, "warm": 1}, AT + 2 * DAY, "more")
    assert [(phase.phase, phase.started_at) for phase in record.phases] == [("1", AT), ("2", AT + 2 * DAY)]
    record = shipped(record, "warm", AT + 9 * DAY, "+5 points", {"p": 0.01})
    assert record.present.weights == {"plain": 0, "warm": 1} and record.phases[-1].phase == "3"
    assert record.shipped is not None and record.shipped.results == {"p": 0.01}
    assert (record.status, record.alpha, record.control) == ("shipped", 0.1, "plain")
    assert Experiment.model_validate_json(record.model_dump_json()) == record


def test_of_two_changes_the_later_has_the_later_time() -> None:
    record = started(DRAFT, AT)
    assert stopped(record, AT - DAY, "").changed_at > record.changed_at


def test_changes_that_cant_be_meant_are_refused() -> None:
    running = started(DRAFT, AT)
    over = stopped(running, AT + DAY, "")
    for change in (
        lambda: reweighted(running, {"plain": 9, "warm": 1}, AT, "the same"),
        lambda: reweighted(running, {"warm": 1}, AT, "no control"),
        lambda: reweighted(running, {"plain": 1, "warm": -1}, AT, "negative"),
        lambda: ramped(running, 2.0, AT, "too much"),
        lambda: ramped(over, 0.5, AT, "stopped"),
        lambda: stopped(over, AT, "twice"),
        lambda: shipped(DRAFT, "warm", AT, "a draft", {}),
        lambda: shipped(running, "cold", AT, "unknown", {}),
        lambda: shipped(shipped(running, "warm", AT, "", {}), "warm", AT, "twice", {}),
    ):
        with pytest.raises(ConfigurationError):
            change()

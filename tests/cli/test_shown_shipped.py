"""What `upshot experiments show` says of a shipped experiment: whether later units agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from upshot.cli.app import app
from upshot.cli.commands import experiment_registry
from upshot.errors import ClickHouseUnavailable
from upshot.experiments.changes import shipped
from upshot.insights.experiments import reading, registry
from upshot.insights.experiments.population import CAUSES, Cell, Population
from upshot.insights.experiments.results import results
from upshot.insights.statistics.moments import Moments
from upshot.schemas.experiments import Experiment

BEGAN, NOW = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
TONE = Experiment.model_validate(
    {
        "experiment": "tone",
        "variants": {"plain": 1, "warm": 1},
        "control": "plain",
        "changed_at": BEGAN,
        "metrics": [{"name": "solved", "window": "P7D"}],
    }
)


def shown(monkeypatch: pytest.MonkeyPatch, variant: str, successes: int) -> str:
    """The output for a variant that was shipped, where warm has so many successes of 2,000, plain 800."""
    record = shipped(TONE, variant, datetime(2026, 4, 1, tzinfo=UTC), "better", {})

    def read(reader: object, plan: Any, at: datetime) -> Any:
        cells = tuple(
            Cell(
                phase="1", variant=arm, exclusion="", segment="", exposed=2_000, carried=0,
                first_exposed_at=BEGAN, maturing=0, next_at=None, matured=2_000,
                causes=dict.fromkeys(CAUSES, 0) | {"outcome": 2_000},
                moments=Moments.of_successes(2_000, n), costs=Moments(),
            )
            for arm, n in (("plain", 800), ("warm", successes))
        )  # fmt: skip
        return results(plan, [Population(plan.metrics[0], at, cells, (), 0.0, 0)])

    monkeypatch.setattr(experiment_registry, "record_of", lambda settings, name: record)
    monkeypatch.setattr(experiment_registry, "known_as_of", lambda settings: NOW)
    monkeypatch.setattr(experiment_registry, "written_as_of", lambda reader, at: at)
    monkeypatch.setattr(reading, "read_results", read)
    monkeypatch.setattr(registry, "since_start", lambda reader, plan, at: plan)
    done = CliRunner().invoke(app, ["experiments", "show", "tone"])
    assert done.exit_code == 0, done.output
    return done.output


def test_later_units_agree_with_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(monkeypatch, "warm", 950)
    assert "shipped warm: better" in found
    assert "what has matured since agrees: warm is better on solved: +7.5 points" in found
    assert "Ship it" not in found


@pytest.mark.parametrize(("variant", "successes"), [("plain", 950), ("warm", 650)])
def test_later_units_do_not_agree(monkeypatch: pytest.MonkeyPatch, variant: str, successes: int) -> None:
    assert "what has matured since does not agree: warm is " in shown(monkeypatch, variant, successes)


def test_later_units_say_nothing_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "of what has matured since: no decision yet on solved" in shown(monkeypatch, "warm", 810)


def test_the_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(reader: object, at: datetime) -> datetime:
        raise ClickHouseUnavailable("no answer")

    record = shipped(TONE, "warm", NOW, "better", {})
    monkeypatch.setattr(experiment_registry, "record_of", lambda settings, name: record)
    monkeypatch.setattr(experiment_registry, "known_as_of", lambda settings: NOW)
    monkeypatch.setattr(experiment_registry, "written_as_of", away)
    done = CliRunner().invoke(app, ["experiments", "show", "tone"])
    assert done.exit_code == 0 and "shipped warm: better" in done.output
    assert "whether later units agree isn't known now: no answer" in done.output

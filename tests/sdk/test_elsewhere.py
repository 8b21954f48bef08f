"""A run that goes on elsewhere, and run ids that are used again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import upshot
from upshot import App, Run
from upshot.errors import Misuse
from upshot.sdk.delivery import Delivery
from upshot.sdk.run_ids import RunIds
from upshot.testing import Captured, FakeClock, capture

WAYS: dict[str, Callable[[Run], Any]] = {
    "id": lambda run: run.id,
    "carrier": lambda run: run.carrier,
    "headers": lambda run: {name.title(): said for name, said in run.carrier.items()},
}


class Ticket(BaseModel):
    number: int


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("run_id", [None, "order-7"])
def test_what_is_told_there_belongs_to_the_run(
    app: App, sent: Captured, way: str, run_id: str | None
) -> None:
    with app.run("helper", run_id=run_id) as run, run.step("first"):
        there = WAYS[way](run)
    ended = sent.runs
    with app.attach(there) as again:
        assert upshot.current_run() is again
        with again.step("second") as step, again.step("third"):
            step.score("fresh", True)
        again.score("helpful", 1)
        again.wait("merged", "pr:1", on={"pr.closed": "data.merged"}, within="P1D")
    assert again.id == run.id
    assert {step["run_id"] for step in sent.steps} == {run.id}
    by_name = {step["name"]: step for step in sent.steps}
    assert by_name["second"]["parent_step_id"] is None
    assert by_name["third"]["parent_step_id"] == by_name["second"]["step_id"]
    assert [score["run_id"] for score in sent.scores] == [run.id] * 2
    assert sent.waits[0]["run_id"] == run.id
    assert sent.runs == ended


def test_a_traceparent_alone_names_a_run_whose_id_is_its_place(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        pass
    with app.attach(run.traceparent) as again:
        assert again.id == run.id
    with app.attach("order-7", traceparent=run.traceparent) as other:
        assert (other.id, other.traceparent) == ("order-7", run.traceparent)


def test_its_steps_continue_the_trace(app: App, sent: Captured) -> None:
    with app.run("helper", run_id="order-7") as run:
        carrier = run.carrier
    with app.attach(carrier) as again, again.step("s"):
        assert again.traceparent == run.traceparent
    with app.attach("order-7") as first, app.attach("order-7") as second:
        assert first.traceparent == second.traceparent


def test_a_run_may_be_left_open_and_end_elsewhere(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        ident = run.leave_open()
    assert [run["status"] for run in sent.runs] == ["running"]
    with app.attach(ident, ends=True) as again:
        again.set_attribute("answered_by", "a person")
        again.set_output("done")
    [told] = sent.runs
    assert (told["status"], told["output"]) == ("completed", "done")
    assert told["attributes"]["answered_by"] == "a person"
    with pytest.raises(ValueError, match="x"), app.attach("other", ends=True):
        raise ValueError("x")
    assert sent.runs[1]["status"] == "failed"
    assert sent.runs[1]["error"] == "ValueError: x"


def test_an_error_there_is_not_the_runs(app: App, sent: Captured) -> None:
    with pytest.raises(ValueError, match="x"), app.attach("order-7"):
        raise ValueError("x")
    assert sent.runs == []


def test_deferrals_of_several_processes_are_different(app: App, sent: Captured) -> None:
    @app.scorer
    async def later(ctx: upshot.Followup[Ticket]) -> bool:
        return True

    with app.run("helper") as run:
        ids = [run.defer(later, Ticket(number=1))]
    for _ in range(2):
        with app.attach(run.id) as again:
            ids.append(again.defer(later, Ticket(number=1)))
    assert len(set(ids)) == 3
    assert {deferral["run_id"] for deferral in sent.deferrals} == {run.id}


def test_outcomes_count_from_when_the_run_began_where_that_is_given(app: App) -> None:
    began = datetime(2025, 12, 31, tzinfo=UTC)
    with capture(app, clock=FakeClock()) as sent:
        for started in (began, None):
            with app.attach("order-7", started_at=started) as run:
                run.wait("merged", "pr:1", on={"pr.closed": "data.merged"}, within=timedelta(days=7))
        first, second = (datetime.fromisoformat(wait["since"]) for wait in sent.waits)
    assert (first, second) == (began, FakeClock().now)


@pytest.mark.parametrize("wrong", [None, "", 7, {}, {"traceparent": None}])
def test_what_names_no_run_is_refused(app: App, wrong: Any) -> None:
    with pytest.raises(Misuse, match=r"run\.id, or run\.carrier"):
        app.attach(wrong)
    with pytest.raises(Misuse, match="is no traceparent"):
        app.attach("r", traceparent="00-xyz")


def test_several_apps_have_to_be_told_apart(app: App) -> None:
    other = App("other")
    with pytest.raises(Misuse, match=r"write app\.attach\(run_id\)"):
        upshot.attach("order-7")
    assert other.name == "other"


def used_again(delivery: Delivery, app: App, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    before, app.delivery = app.delivery, delivery
    try:
        with caplog.at_level(logging.WARNING, "upshot"), app.run("a", run_id="order-7"):
            pass
    finally:
        app.delivery = before
    return [record.getMessage() for record in caplog.records]


def test_a_run_id_that_is_used_again_is_told(
    app: App, sent: Captured, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = app.delivery
    delivery.run_ids = RunIds(tmp_path)
    assert used_again(delivery, app, caplog) == []
    [line] = used_again(delivery, app, caplog)
    assert "in this process" in line
    assert "app.attach('order-7')" in line
    delivery.run_ids = RunIds(tmp_path)  # as another process has it
    [line] = used_again(delivery, app, caplog)
    assert re.search(r"began before, in process \d+", line)
    delivery.run_ids = RunIds(Path("/proc/nowhere"))
    assert used_again(delivery, app, caplog) == []
    with caplog.at_level(logging.WARNING, "upshot"), app.attach("order-7"):
        assert len(caplog.records) == 0

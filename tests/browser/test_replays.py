"""A recorded replay beside the run that it repeats: what was run again, what differs, and where they lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.seeing import faults, fetched_json, see
from tests.browser.story import HOSTILE, post
from tests.upshot_process import WholeStack

pytestmark = pytest.mark.stack

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ORIGINAL, AGAIN = "replayed", "replayed-again"


def run_of(run_id: str, output: str, **more: Any) -> dict[str, Any]:
    ended = START + timedelta(seconds=9)
    return {"run_id": run_id, "agent": "support", "status": "completed", "started_at": START.isoformat(),
            "ended_at": ended.isoformat(), "output": output, **more}  # fmt: skip


def step_of(run_id: str, step_id: str, second: int, **more: Any) -> dict[str, Any]:
    begun = START + timedelta(seconds=second)
    ended = begun + timedelta(seconds=2)
    return {"run_id": run_id, "step_id": step_id, "name": step_id.removeprefix("again-"), "status": "ok",
            "started_at": begun.isoformat(), "ended_at": ended.isoformat(), **more}  # fmt: skip


def events() -> dict[str, list[dict[str, Any]]]:
    hostile = HOSTILE[0]
    marks = {"replayed_from": ORIGINAL, "replayed_step": "draft"}
    return {
        "runs": [
            run_of(ORIGINAL, "a long answer"),
            run_of(AGAIN, "a short answer", origin="replay", attributes=marks),
        ],
        "steps": [
            step_of(ORIGINAL, "search", 0, output="found"),
            step_of(ORIGINAL, "draft", 2, output=hostile, input_tokens=900, output_tokens=80, cost_usd=0.004),
            step_of(ORIGINAL, "check", 4, output="well"),
            step_of(ORIGINAL, "shorten", 6, output="cut"),
            step_of(AGAIN, "again-search", 0, output="found",
                    attributes={"replayed_from": "search", "recorded": True}),
            step_of(AGAIN, "again-draft", 2, output="short", input_tokens=900, output_tokens=20,
                    cost_usd=0.003, attributes={"replayed_from": "draft"}),
            step_of(AGAIN, "again-check", 4, output="well", attributes={"replayed_from": "check"}),
            step_of(AGAIN, hostile, 6, output=hostile),
        ],
        "scores": [
            {"run_id": ORIGINAL, "name": "length", "value": 13},
            {"run_id": AGAIN, "name": "length", "value": 14},
        ],
    }  # fmt: skip


def send(stack: WholeStack) -> None:
    for topic, each in events().items():
        post(stack.ports["web"], topic, each)
    stack.eventually(
        "SELECT count() AS n FROM scored_runs WHERE agent = 'support' AND has(score_names, 'length') "
        "AND steps = 4",
        [{"n": 2}],
    )


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_a_replay_stands_beside_its_run(full: WholeStack, page: Page, width: int, scheme: str) -> None:
    send(full)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    see(page, full, f"/runs/{ORIGINAL}")
    page.get_by_role("link", name="its replays").click()
    page.get_by_role("link", name=AGAIN, exact=True).click()
    page.get_by_role("link", name="replay", exact=True).click()
    expect(page.get_by_text("What stood before that step was not run again")).to_be_visible()
    steps = page.locator("section", has=page.get_by_role("heading", name="Steps"))
    shown = [line.split("\t")[:2] for line in steps.locator("tbody tr").all_inner_texts()]
    expected = ["as recorded", "changed", "same", "new", "gone"]
    assert [what.strip() for _, what in shown] == expected, shown
    assert [name.strip() for name, _ in shown] == ["search", "draft", "check", HOSTILE[0], "shorten"]
    assert "980 → 920" in steps.inner_text()
    expect(page.get_by_text("a long answer")).to_be_visible()
    expect(page.get_by_text("a short answer")).to_be_visible()
    assert page.title() == f"Replay {AGAIN} · Upshot"
    assert faults(page, *(() if scheme == "light" else ("color-contrast",))) == []


def test_the_json_says_the_same(full: WholeStack) -> None:
    send(full)
    found = fetched_json(full, f"/runs/{AGAIN}/replay.json")
    assert (found["replayed_from"], found["replayed_step"], found["agent"]) == (ORIGINAL, "draft", "support")
    assert [each["what"] for each in found["steps"]] == ["recorded", "changed", "same", "new", "gone"]
    assert found["scores"] == [{"name": "length", "step": "", "before": 13, "after": 14}]
    assert (found["before"]["output"], found["after"]["output"]) == ("a long answer", "a short answer")


def test_a_run_that_repeats_none_leads_to_its_replays(full: WholeStack, page: Page) -> None:
    send(full)
    see(page, full, f"/runs/{ORIGINAL}/replay")
    expect(page.get_by_text("repeats no other run")).to_be_visible()
    page.get_by_role("link", name="its replays").click()
    expect(page.get_by_role("link", name=AGAIN, exact=True)).to_be_visible()
    see(page, full, "/runs/nobody/replay")
    expect(page.get_by_text("nobody has told of a run")).to_be_visible()


def test_steps_too_deep_to_be_compared_are_a_sentence(full: WholeStack, page: Page) -> None:
    marks = {"replayed_from": "deep", "replayed_step": "s0"}
    runs = [run_of("deep", "x"), run_of("deep-again", "y", origin="replay", attributes=marks)]
    steps = [
        step_of("deep", f"s{number}", 0, parent_step_id=f"s{number - 1}" if number else None)
        for number in range(3_000)
    ]
    post(full.ports["web"], "runs", runs)
    post(full.ports["web"], "steps", steps)
    full.eventually("SELECT count() AS n FROM steps WHERE run_id = 'deep'", [{"n": 3_000}])
    full.eventually("SELECT count() AS n FROM runs WHERE run_id = 'deep-again'", [{"n": 1}])
    see(page, full, "/runs/deep-again/replay")
    expect(page.get_by_text("too deep inside one another to be compared")).to_be_visible()


def test_a_step_has_the_command_that_replays_from_it(full: WholeStack, page: Page) -> None:
    send(full)
    see(page, full, f"/runs/{ORIGINAL}?step=draft")
    expect(page.locator("#step")).to_contain_text(f"upshot replay {ORIGINAL} --from draft --app MODULE:NAME")
    see(page, full, f"/runs/{AGAIN}?step=again-draft")
    expect(page.locator("#step")).not_to_contain_text("upshot replay")

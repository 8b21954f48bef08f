"""Real workers that have something to tell, and their pages."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.upshot_process import ANSWER, LOOK, WholeStack
from upshot.ops.telemetry.scrape import Page, read_page
from upshot.processors.roles import ALWAYS as ROLES

Eventually = Callable[[int, Callable[[Page], object]], Page]

#: Told in trouble only, which the story has none of, where metrics are pushed, with standbys, or with an app.
IN_TROUBLE = {
    "upshot.join.unread",
    "upshot.consumer.lost",
    "upshot.topic.changes",
    "upshot.standby.lag",
    "upshot.ops.telemetry.failures",
    "upshot.followups.events",
    "upshot.followups.running",
    "upshot.followups.running.oldest",
    "upshot.followups.undeployed",
    "upshot.alerts.behind",
    "upshot.notices",
    "upshot.notices.posts",
    "upshot.notices.waiting",
    "upshot.notices.failing",
}


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """The page at a port, once it says what is waited for."""

    def wait(port: int, holds: Callable[[Page], object]) -> Page:
        deadline = time.monotonic() + ANSWER
        while not holds(page := read_page(f"http://127.0.0.1:{port}/metrics")):
            assert time.monotonic() < deadline, page
            time.sleep(LOOK)
        return page

    return wait


@pytest.fixture(scope="session")
def told(stack: WholeStack, eventually: Eventually) -> Mapping[str, Page]:
    """Each role's page, after a story with something of everything but trouble."""
    story(stack)
    happened = {"opened", "joined", "repeated", "early", "expired"}
    tables = {"raw_runs", "raw_waits", "raw_outcomes", "raw_scores", "raw_dead_letters"}
    return {
        "correlate": eventually(
            stack.ports["correlate"],
            lambda page: (
                happened <= _counted(page.by("upshot.join.events", "event"))
                and page.value("upshot.dead_letters")
                and page.value("upshot.join.deadline.next")
                and page.value("upshot.join.waits.open")
            ),
        ),
        "store": eventually(
            stack.ports["store"],
            lambda page: (
                tables <= _counted(page.by("upshot.store.rows", "table"))
                and page.value("upshot.dead_letters")
            ),
        ),
        "alerts": eventually(
            stack.ports["alerts"], lambda page: page.by("upshot.alerts.raised", "rule").get("seen")
        ),
    }


def _counted(counts: Mapping[str, float]) -> set[str]:
    return {name for name, count in counts.items() if count}


@pytest.fixture(scope="session")
def families(stack: WholeStack, told: Mapping[str, Page]) -> dict[str, dict[str, Metric]]:
    """The raw families of each role's page, by name."""
    found = {}
    for role in ROLES:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports[role]}/metrics") as response:
            parsed = text_string_to_metric_families(response.read().decode())
        found[role] = {family.name: family for family in parsed}
    return found


def story(stack: WholeStack) -> None:
    """A question, its answer, the same answer again, one that nobody asked for, a deadline, a question that
    stays open, and bad input.
    """
    ago = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P1D", "else": False}
    waits = [
        {"run_id": "seen1", "name": "merged", "subject": "seen:1", "rule": rule},
        {"run_id": "seen2", "name": "merged", "subject": "seen:2", "rule": rule, "opened_at": ago},
        {"run_id": "seen4", "name": "merged", "subject": "seen:4", "rule": rule},
    ]
    outcome = {"type": "pr.closed", "subject": "seen:1", "id": "seen-o1", "data": {"merged": True}}
    early = {"type": "pr.closed", "subject": "seen:3", "data": {"merged": True}}
    seen = {"name": "seen", "kind": "score", "score": "seen", "below": 0.5, "changed_at": ago}
    for topic, sent in [
        ("alert-rules", [seen]),
        ("waits", waits),
        ("outcomes", [outcome, outcome, early]),
        ("runs", [{"run_id": "seen1", "agent": "a"}]),
        ("scores", [{"run_id": "seen1", "name": "seen", "value": 0.1}]),
    ]:
        done = stack.upshot("emit", topic, text="\n".join(map(json.dumps, sent)))
        assert done.returncode == 0, done.stderr
    for topic in ("outcomes", "exposures"):
        done = stack.upshot("emit", "--no-validate", topic, text='{"run_id":"seen"}')
        assert done.returncode == 0, done.stderr

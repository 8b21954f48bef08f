"""Pages that change something: dead letters sent again, variants shipped; never for another page."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.seeing import address, fetched, see
from tests.browser.story import post
from tests.upshot_process import ANSWER, WholeStack
from upshot.streams.kafka.producer import event_producer

pytestmark = pytest.mark.stack


def test_a_dead_letter_is_mended_and_sent_again(full: WholeStack, page: Page) -> None:
    _send_bytes(full, b'{"type": "pr.closed"}')
    full.eventually("SELECT count() > 0 AS there FROM dead_letters", [{"there": 1}])
    see(page, full, "/dead-letters")
    page.locator("tbody a[href^='/dead-letters/']").first.click()
    page.get_by_label("The event").fill('{"type": "pr.closed"')
    page.get_by_label("Why").fill("the subject was missing")
    page.get_by_label(re.compile("Send to")).check()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("Nothing was sent")).to_be_visible()
    page.get_by_label("The event").fill('{"type": "pr.closed", "subject": "pr:8", "data": {"merged": true}}')
    page.get_by_label(re.compile("Send to")).check()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("Sent again as")).to_be_visible()
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "resent dead letter" in log and "the subject was missing" in log


def test_a_wait_is_cancelled_from_its_subjects_page(full: WholeStack, page: Page) -> None:
    wait = {"wait_id": "unneeded", "run_id": "run-001", "name": "merged", "subject": "pr:unneeded",
            "opened_at": datetime.now(UTC).isoformat(),
            "rule": {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}}  # fmt: skip
    post(full.ports["web"], "waits", [wait])
    still_open = "SELECT count() AS n FROM open_waits WHERE wait_id = 'unneeded'"
    full.eventually(still_open, [{"n": 1}])
    see(page, full, "/subjects/pr:unneeded")
    old = page.context.new_page()
    old.goto(address(full, "/subjects/pr:unneeded"))
    for tab in (page, old):
        tab.get_by_text("Cancel this wait").click()
        _confirm(tab, "Cancel", "closed as a duplicate", "It ends without a score")
        if tab is page:
            expect(tab.get_by_role("status").filter(has_text="Cancelled: the wait")).to_be_visible()
            full.eventually(still_open, [{"n": 0}])
            full.eventually("SELECT cancelled_at > 0 AS c FROM waits WHERE wait_id = 'unneeded'", [{"c": 1}])
    expect(old.get_by_text("is pending; nothing was cancelled")).to_be_visible()
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "cancelled the wait unneeded about pr:unneeded" in log and "closed as a duplicate" in log


def test_a_failed_followup_is_tried_again(full: WholeStack, page: Page) -> None:
    facts = {"followup_id": "broken", "run_id": "run-001", "scorer": "refund",
             "deferred_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    status = {"status": "failed", "error": "no <b>refund</b> found", "attempts": 5, "revision": 9,
              "changed_at": "2095-01-01T00:00:00Z"}  # fmt: skip
    _send_bytes(full, json.dumps(facts).encode(), "deferrals")
    _send_bytes(full, json.dumps(facts | status).encode(), "followups")
    wanted = "SELECT toString(status) AS status FROM pending_followups WHERE followup_id = 'broken'"
    full.eventually(wanted, [{"status": "failed"}])
    see(page, full, "/runs/run-001")
    expect(page.get_by_text("no <b>refund</b> found")).to_be_visible()
    page.get_by_text("Try it again").click()
    _confirm(page, "Try again", "the refund is there now", "The code is mended")
    expect(page.get_by_role("status").filter(has_text="Tried again: the follow-up broken")).to_be_visible()
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "retried the follow-up broken of run-001" in log and "the refund is there now" in log


def _send_bytes(stack: WholeStack, value: bytes, topic: str = "outcomes") -> None:
    async def send() -> None:
        async with event_producer(stack.settings) as producer:
            await (await producer.send(topic, value, key="k"))

    with ThreadPoolExecutor(1) as outside:  # the browser's own loop runs in this thread
        outside.submit(asyncio.run, send()).result()


def test_forms_of_other_pages_change_nothing(full: WholeStack) -> None:
    changes = ("/dead-letters/x/resend", "/subjects/x/cancel", "/runs/x/retry",
               "/experiments/tone/ship", "/experiments/tone/stop",
               "/experiments", "/experiments/tone/set", "/experiments/tone/start",
               "/insights/saved", "/insights/saved/x/delete", "/insights/running/x/cancel")  # fmt: skip
    for path in changes:
        for headers in ({}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert fetched(full, path, b"payload=x&why=y&sure=1", headers)[0] == 403, path


def test_a_variant_is_shipped_from_the_page(full: WholeStack, page: Page) -> None:
    record = {"experiment": "pace", "variants": {"slow": 1, "fast": 1}, "control": "slow",
              "changed_at": "2026-01-01T00:00:00Z", "metrics": [{"name": "merged"}]}  # fmt: skip
    post(full.ports["web"], "experiments", [record])
    full.eventually("SELECT count() AS n FROM experiments WHERE experiment = 'pace'", [{"n": 1}])
    see(page, full, "/experiments/pace")
    old = page.context.new_page()
    old.goto(address(full, "/experiments/pace"))
    page.get_by_text("Ship a variant, set weights or stop").click()
    page.locator("select[name=variant]").select_option("fast")
    page.get_by_label("Why").first.fill("it was twice as fast")
    page.get_by_role("button", name="Ship").click()
    assert page.url.endswith("/experiments/pace"), "nothing happens without the confirmation"
    page.get_by_label("All units get this variant").check()
    page.get_by_role("button", name="Ship").click()
    expect(page.get_by_text("Done: shipped")).to_be_visible(timeout=1000 * ANSWER)
    assert "twice as fast" in full.upshot("experiments", "show", "pace").stdout
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "shipped fast of pace: by 127.0.0.1 (operator), because it was twice as fast" in log
    old.get_by_text("Ship a variant, set weights or stop").click()
    _confirm(old, "Stop", "too late", "All units get the control")
    expect(old.get_by_text("was changed meanwhile")).to_be_visible()


def test_an_experiment_is_created_and_its_weights_and_traffic_set(full: WholeStack, page: Page) -> None:
    see(page, full, "/experiments?mde=5%25&rate=40%25")
    expect(page.get_by_text("5,862 units in all, looking daily")).to_be_visible()
    page.get_by_text("A new experiment").click()
    page.get_by_label("Name").fill("depth")
    page.get_by_label("Variants and weights").fill("plain=1, deep=nothing")
    page.get_by_label("Metrics that decide").fill("merged:rate:P14D")
    page.get_by_label("Least effect").fill("0.1")
    _confirm(page, "Create", "worth a try", "Units get variants")
    expect(page.get_by_role("alert")).to_contain_text("write NAME=WEIGHT")
    assert page.get_by_label("Name").input_value() == "depth", "what was written stays"
    page.get_by_label("Variants and weights").fill("plain=1, deep=1")
    _confirm(page, "Create", "worth a try", "Units get variants")
    expect(page.get_by_role("status").get_by_role("link", name="depth")).to_be_visible(timeout=1000 * ANSWER)
    see(page, full, "/experiments/depth")
    page.get_by_text("Ship a variant, set weights or stop").click()
    page.get_by_text("Other weights or traffic").click()
    page.get_by_label("deep", exact=True).fill("3")
    _confirm(page, "Set weights", "deep is good", "A new phase begins")
    expect(page.get_by_text("Done: running")).to_be_visible(timeout=1000 * ANSWER)
    page.get_by_text("Ship a variant, set weights or stop").click()
    page.get_by_text("Other weights or traffic").click()
    page.get_by_label("Share of units").fill("50%")
    _confirm(page, "Set traffic", "to be careful", "Nobody moves")
    expect(page.get_by_text("Done: running")).to_be_visible(timeout=1000 * ANSWER)
    shown = full.upshot("experiments", "show", "depth").stdout
    assert "phase 2, plain=1, deep=3, traffic 50%" in shown and "decision: merged (rate)" in shown
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "started depth: by 127.0.0.1 (operator), because worth a try" in log
    assert "set the weights of depth to plain=1, deep=3, phase 2: by" in log


def _confirm(page: Page, button: str, why: str, sure: str) -> None:
    form = page.locator("form", has=page.get_by_role("button", name=button, exact=True))
    form.get_by_label("Why").fill(why)
    form.get_by_label(re.compile(sure)).check()
    form.get_by_role("button", name=button, exact=True).click()

"""The pages of alerts, rules and receivers in a real Chromium: seen, hostile texts, muting, trying again."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.alerting import RULE, raise_alerts
from tests.browser.seeing import all_at_once, faults, fetched, fetched_json, see
from tests.browser.story import HOSTILE
from tests.upshot_process import WholeStack

pytestmark = pytest.mark.stack

SEEN = (
    f"/alerts?state=firing&rule={quote(RULE)}&since=30d",
    "/alerts?subject=writer",
    "/alerts/alert-2",
    "/alerts/window-1",
    "/alerts/rules",
    f"/alerts/rules/{quote(RULE)}?backtest=30d",
    "/alerts/receivers",
    "/alerts/notices?receiver=on-call&state=failed",
    "/alerts/nobody",
)
TURNING = set("\u202e\u2066\u200b\u2028\x1b")


@pytest.fixture(scope="module")
def raised(full: WholeStack) -> WholeStack:
    """The stack with alerts, stored."""
    alerts = raise_alerts(full)
    full.eventually("SELECT toString(count()) AS alerts FROM alert_states", [{"alerts": str(alerts)}])
    full.eventually("SELECT count() > 10 AS there FROM notices", [{"there": 1}])
    return full


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_alerts_with_data(raised: WholeStack, page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in SEEN:
        see(page, raised, path)
        assert faults(page) == [], path


def test_hostile_alerts_stay_texts(raised: WholeStack, page: Page) -> None:
    paths = ["/alerts", "/alerts/rules", "/alerts/receivers", "/alerts/notices"]
    for place, text in enumerate(HOSTILE):
        paths.append(f"/alerts/{quote(f'h{place} {text}', safe='')}")
        paths.append(f"/alerts/rules/{quote(f'r{place} {text[:190]}', safe='')}?backtest=1d")
        paths.append(f"/alerts?rule={quote(text, safe='')}&subject={quote(text, safe='')}")

    def check(path: str) -> None:
        status, body = fetched(raised, path)
        assert status == 200, (path, body[-300:])
        assert not TURNING & set(body.decode()), path

    all_at_once(check, paths)
    page.set_viewport_size({"width": 390, "height": 900})
    for path in (*paths[:4], paths[4], paths[5], paths[-3], paths[-2]):
        see(page, raised, path)
        assert "taken" not in page.title().replace("='taken'", ""), path


def test_an_alerts_cause_its_tries_and_the_filters(raised: WholeStack) -> None:
    found = fetched_json(raised, "/alerts/alert-2.json")
    assert [(each["status"], each["last_status"]) for each in found["notices"][0]["tries"]] == [
        ("retrying", 503),
        ("failed", 410),
    ]
    for ident in ("alert-2", "notice-2-ops"):
        assert fetched_json(raised, f"/r/{ident}.json")["places"][0]["link"] == "/alerts/alert-2"
    window = fetched_json(raised, "/alerts/window-1.json")["states"][0]
    assert window["window_begin"] < window["window_end"]
    counts = fetched_json(raised, f"/alerts.json?rule={quote(RULE)}")["counts"]
    assert counts == {"all": 6, "firing": 4, "resolved": 2, "muted": 1, "silent": 1}
    notices = fetched_json(raised, "/alerts/notices.json?receiver=on-call&rule=" + quote(RULE))
    assert (notices["counts"]["failed"], notices["counts"]["dropped"]) == (1, 1)
    assert {each["alert_id"] for each in notices["notices"]} == {"alert-1", "alert-3"}
    earlier = fetched_json(raised, "/alerts/deliveries.json?receiver=on-call&rule=" + quote(RULE))
    assert earlier == notices, "the earlier path leads here, with its parameters"
    assert (
        fetched(raised, "/alerts/notices?state=odd")[0]
        == fetched(raised, "/alerts/notices?after=x")[0]
        == 400
    )
    _, drawn = fetched(raised, f"/alerts/rules/{quote(RULE)}")
    assert drawn.count(b'class="k-firing"') > 6 and b'/alerts/alert-2"' in drawn
    _, rows = fetched(raised, "/alerts?format=csv&state=resolved")
    assert len(rows.decode().splitlines()) == 4, "all rows, and their names"
    assert fetched(raised, "/alerts?state=odd")[0] == fetched(raised, "/alerts?after=x")[0] == 400


def test_a_rule_is_muted_and_a_notice_tried_again_with_reasons_in_the_log(
    raised: WholeStack, page: Page
) -> None:
    for place in (f"/alerts/rules/{quote(RULE)}/mute", "/alerts/alert-1/retry"):
        for headers in ({}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert fetched(raised, place, b"why=y&sure=1&length=1h", headers)[0] == 403, place
    see(page, raised, f"/alerts/rules/{quote(RULE)}")
    page.get_by_label("Why").fill("being mended")
    page.get_by_label(re.compile("Nobody is notified")).check()
    page.get_by_role("button", name="Mute").click()
    expect(page.get_by_role("status").filter(has_text="Muted until")).to_be_visible()
    muted = f"SELECT muted_until > now() AS muted FROM alert_rules WHERE name = '{RULE}'"
    raised.eventually(muted, [{"muted": 1}])
    see(page, raised, "/alerts/alert-1")
    page.get_by_label("Why").fill("on-call is back")
    page.get_by_label("The receiver is mended").check()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status").filter(has_text="Tried again")).to_be_visible()
    log = (raised.data_dir / "logs" / "web.log").read_text()
    assert "because being mended" in log and "retried notice-1-on-call" in log

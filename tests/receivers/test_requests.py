"""The requests for each kind of receiver, compared with what the receivers' contracts say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from tests.receivers.made import NOON, OTHER_SECRET, ROUTING_KEY, SECRET, alert, configured, digest, message
from upshot.receivers.messages import AlertMessage, trial_message
from upshot.receivers.requests import HttpRequest, dedup_key, http_request, webhook_body
from upshot.receivers.results import Accepted, Failed, HttpAnswer, judge_status, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 5, 700_000, tzinfo=UTC)
RECEIVERS = configured(
    hook={"kind": "webhook", "url": "https://example.com/hook", "secret": SECRET},
    both={"kind": "webhook", "url": "https://example.com/hook", "secret": [OTHER_SECRET, SECRET]},
    chat={"kind": "slack", "url": "https://hooks.slack.com/services/x"},
    page={"kind": "pagerduty", "routing_key": ROUTING_KEY},
    am={"kind": "alertmanager", "url": "https://alerts.acme.com/am/", "token": "t0ken"},
)


def request(name: str, about: AlertMessage, now: datetime = NOW) -> HttpRequest:
    receiver: Any = RECEIVERS.named(name)
    return http_request(receiver, about, now)


def content(name: str, about: AlertMessage) -> Any:
    return json.loads(request(name, about).body)


def verified(sent: HttpRequest, secret: str) -> Any:
    """The body as a receiver with this secret takes it, at any time."""
    headers = dict(sent.headers)
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    expected = Webhook(secret).sign(headers["webhook-id"], at, sent.body.decode())
    if expected not in headers["webhook-signature"].split(" "):
        raise WebhookVerificationError("No matching signature found")
    return json.loads(sent.body)


def test_a_webhook_is_signed_as_standard_webhooks_says() -> None:
    sent = request("hook", message())
    body = verified(sent, SECRET)
    assert body["type"] == "upshot.alert.firing"
    assert body["timestamp"] == "2026-01-01T12:00:00.000Z"
    assert body["data"]["notice_id"] == sent.headers["webhook-id"] == "notice-firing"
    assert (body["data"]["severity"], body["data"]["value"]) == ("warning", False)
    assert sent.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    with pytest.raises(WebhookVerificationError):
        verified(sent, OTHER_SECRET)


def test_the_signature_is_the_same_in_every_zone() -> None:
    east = request("hook", message(), NOW.astimezone(timezone(timedelta(hours=9))))
    assert east == request("hook", message())


def test_each_secret_signs_while_one_replaces_the_other() -> None:
    sent = request("both", message())
    assert len(sent.headers["webhook-signature"].split(" ")) == 2
    assert verified(sent, SECRET) == verified(sent, OTHER_SECRET)


def test_a_later_try_has_the_same_id_and_body() -> None:
    first, second = (request("hook", message(), NOW + timedelta(hours=n)) for n in range(2))
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


@given(
    st.integers(1, 300),
    st.text(max_size=3_000),
    st.dictionaries(st.text(min_size=1, max_size=50), st.text(max_size=300), max_size=10),
    st.sampled_from([None, "https://x/" + "y" * 30_000]),
)
@settings(max_examples=50, deadline=None)
def test_a_webhook_is_below_20_kb_and_counts_all_alerts(
    count: int, text: str, group: dict[str, str], link: str | None
) -> None:
    about = digest(count, message=text, group=group, link=link) if count > 1 else message(message=text)
    body = webhook_body(about)
    assert len(body) < 20_000
    assert json.loads(body)["data"]["count"] == count


def test_a_digest_and_a_test_have_types_of_their_own() -> None:
    body = json.loads(webhook_body(digest(3)))
    assert (body["type"], len(body["data"]["alerts"])) == ("upshot.alerts.digest", 3)
    assert json.loads(webhook_body(trial_message("t", NOON)))["type"] == "upshot.alert.test"


def test_slack_gets_text_and_blocks_with_its_characters_escaped() -> None:
    body = content("chat", message(message="a <b> & c" + "x" * 5_000))
    assert body["text"].startswith("[FIRING] ticket reopened (agent=support, tier=paying): a &lt;b&gt; &amp;")
    assert all(len(block["text"]["text"]) <= 3_000 for block in body["blocks"])
    assert "*run:* r1" in body["blocks"][1]["text"]["text"]
    assert len(content("chat", digest(200))["blocks"]) <= 50


def test_pagerduty_triggers_and_resolves_by_the_alerts_id() -> None:
    firing, resolved = content("page", message(severity="page")), content("page", message(state="resolved"))
    assert (firing["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert firing["dedup_key"] == resolved["dedup_key"] == alert().alert_id
    assert firing["routing_key"] == ROUTING_KEY
    assert firing["payload"]["severity"] == "critical"
    long = content("page", message(alert_id="x" * 512, message="y" * 5_000, name="n" * 200))
    assert len(long["dedup_key"]) <= 255 and len(long["payload"]["summary"]) <= 1_024
    assert dedup_key("x" * 511) != dedup_key("x" * 512)


def test_a_digest_is_one_incident_of_its_worst_severity() -> None:
    mixed = AlertMessage("d", "digest", (alert(1, severity="info"), alert(2, severity="page")), 2, NOON)
    body = content("page", mixed)
    assert (body["dedup_key"], body["payload"]["severity"]) == ("d", "critical")
    assert body["payload"]["custom_details"]["count"] == 2


def test_alertmanager_gets_ends_far_away_or_past() -> None:
    sent = request("am", message(group={"agent": "a", "user tier": "x", "7": "y", "alertname": "mine"}))
    assert sent.url == "https://alerts.acme.com/am/api/v2/alerts"
    assert sent.headers["authorization"] == "Bearer t0ken"
    [firing] = json.loads(sent.body)
    assert datetime.fromisoformat(firing["endsAt"]) == NOW + timedelta(days=30)
    assert firing["labels"] == {
        "alertname": "ticket reopened",
        "alert_id": alert().alert_id,
        "severity": "warning",
        "kind": "score",
        "agent": "a",
        "user_tier": "x",
        "_7": "y",
    }
    [resolved] = content("am", message(state="resolved", raised_at=NOON + 3_600_000_000))
    assert datetime.fromisoformat(resolved["endsAt"]) <= NOW


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 2026 12:01:05 GMT", 59.3),
        ("-5", None),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_a_receiver_may_wish_for_a_pause(value: str | None, seconds: float | None) -> None:
    found = retry_after(value, NOW)
    assert found == (pytest.approx(seconds) if seconds is not None else None)
    assert retry_after("9" * 400, NOW) in (None, 86_400.0)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_two_hundreds_are_accepted(status: int) -> None:
    assert judge_status(HttpAnswer(status), frozenset(), True, NOW) == Accepted(status)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304])
def test_a_redirect_fails_and_names_the_remedy(status: int) -> None:
    result = judge_status(HttpAnswer(status, location="http://10.0.0.1"), frozenset(), True, NOW)
    assert isinstance(result, Failed) and "set the final address" in result.error

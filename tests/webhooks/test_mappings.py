"""What the providers' webhooks mean by default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from upshot.errors import InvalidEvent
from upshot.sources import Message, Source, outcomes_of
from upshot.webhooks.github import GITHUB
from upshot.webhooks.stripe import STRIPE
from upshot.webhooks.zendesk import ZENDESK

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
REPOSITORY = {"full_name": "acme/web", "html_url": "https://github.com/acme/web"}
PULL = {
    "number": 12,
    "state": "closed",
    "merged": True,
    "title": "not taken over",
    "updated_at": "2026-11-24T11:59:00Z",
    "user": {"login": "agent"},
    "labels": [{"name": "bug"}],
}


def told(source: Source, value: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    message = Message(value, f"webhook:{source.webhook}", "place", NOW, headers=headers)
    return [msgspec.json.decode(outcome) for outcome in outcomes_of(source, message)]


def github(event: str, **said: Any) -> list[dict[str, Any]]:
    headers = {"x-github-event": event, "x-github-delivery": "d-1"}
    return told(GITHUB, {"repository": REPOSITORY, "sender": {"login": "human"}} | said, **headers)


def test_a_closed_pull_request() -> None:
    [outcome] = github("pull_request", action="closed", pull_request=PULL)
    assert outcome == {
        "specversion": "1.0",
        "type": "github.pull_request.closed",
        "subject": "pr:acme/web#12",
        "id": "d-1",
        "source": "https://github.com/acme/web",
        "time": "2026-11-24T11:59:00Z",
        "data": {
            "number": 12,
            "state": "closed",
            "merged": True,
            "sender": "human",
            "author": "agent",
            "labels": ["bug"],
            "repository": "acme/web",
        },
    }


@pytest.mark.parametrize(
    ("event", "said", "kind", "subjects"),
    [
        (
            "pull_request_review",
            {"action": "submitted", "pull_request": PULL, "review": {"state": "approved"}},
            "github.pull_request_review.submitted",
            ["pr:acme/web#12"],
        ),
        (
            "issues",
            {"action": "reopened", "issue": {"number": 7}},
            "github.issues.reopened",
            ["issue:acme/web#7"],
        ),
        (
            "issue_comment",
            {"action": "created", "issue": {"number": 12, "pull_request": {}}, "comment": {}},
            "github.issue_comment.created",
            ["pr:acme/web#12"],
        ),
        (
            "workflow_run",
            {
                "action": "completed",
                "workflow_run": {"head_sha": "abc", "pull_requests": [{"number": 1}, {"number": 2}]},
            },
            "github.workflow_run.completed",
            ["pr:acme/web#1", "pr:acme/web#2"],
        ),
        (
            "check_run",
            {"action": "completed", "check_run": {"head_sha": "abc", "pull_requests": []}},
            "github.check_run.completed",
            ["commit:acme/web@abc"],
        ),
        ("status", {"sha": "abc", "state": "success"}, "github.status", ["commit:acme/web@abc"]),
        ("push", {"after": "abc"}, "github.push", ["commit:acme/web@abc"]),
        ("star", {"action": "created"}, "github.star.created", ["repo:acme/web"]),
    ],
)
def test_events_of_github(event: str, said: dict[str, Any], kind: str, subjects: list[str]) -> None:
    outcomes = github(event, **said)
    assert [(outcome["type"], outcome["subject"]) for outcome in outcomes] == [(kind, s) for s in subjects]


def test_a_ping_means_nothing() -> None:
    assert told(GITHUB, {"zen": "Keep it logically awesome."}, **{"x-github-event": "ping"}) == []


def test_a_webhook_of_a_whole_organisation_has_no_subject_of_ours() -> None:
    hint = r"organization names no repository, .* app\.map_outcomes\(…, webhook='github', subject=…\)"
    with pytest.raises(InvalidEvent, match=hint):
        told(GITHUB, {"organization": {}}, **{"x-github-event": "organization"})


def stripe(kind: str, about: dict[str, Any]) -> dict[str, Any]:
    event = {"id": "evt_1", "type": kind, "created": 1_795_521_600, "data": {"object": about}}
    [outcome] = told(STRIPE, event)
    return outcome


def test_a_refund_is_about_its_charge_and_leaves_personal_data_out() -> None:
    about = {
        "id": "re_1",
        "object": "refund",
        "charge": "ch_1",
        "amount": 500,
        "receipt_email": "x@example.com",
    }
    assert stripe("refund.created", about) == {
        "specversion": "1.0",
        "type": "stripe.refund.created",
        "subject": "charge:ch_1",
        "id": "evt_1",
        "source": "stripe:own",
        "time": "2026-11-24T12:00:00+00:00",
        "data": {"id": "re_1", "object": "refund", "charge": "ch_1", "amount": 500},
    }


def test_metadata_name_the_subject_that_the_agent_knows() -> None:
    about = {"id": "ch_1", "object": "charge", "refunded": True}
    assert stripe("charge.refunded", about)["subject"] == "charge:ch_1"
    named = about | {"metadata": {"upshot_subject": "order:77"}}
    assert stripe("charge.refunded", named)["subject"] == "order:77"


def test_a_ticket_that_changes() -> None:
    event = {
        "type": "zen:event-type:ticket.status_changed",
        "account_id": 42,
        "id": "e-1",
        "time": "2026-11-24T11:59:00Z",
        "subject": "zen:ticket:8841",
        "event": {"current": "OPEN", "previous": "SOLVED"},
        "detail": {"id": "8841", "status": "OPEN", "subject": "not taken over"},
    }
    assert told(ZENDESK, event) == [
        {
            "specversion": "1.0",
            "type": "zendesk.ticket.status_changed",
            "subject": "ticket:8841",
            "id": "e-1",
            "source": "zendesk:42",
            "time": "2026-11-24T11:59:00Z",
            "data": {"status": "OPEN", "current": "OPEN", "previous": "SOLVED"},
        }
    ]


def test_a_trigger_says_its_outcome_itself() -> None:
    event = {"type": "ticket.reopened", "subject": "ticket:8841", "data": {"by": "customer"}}
    [outcome] = told(ZENDESK, event, **{"x-zendesk-webhook-invocation-id": "01ABC"})
    assert (outcome["type"], outcome["subject"], outcome["data"]) == (*list(event.values()),)
    assert outcome["id"] == "01ABC"

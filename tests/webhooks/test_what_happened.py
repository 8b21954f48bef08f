"""An outcome of a webhook has the time of what happened, its facts wherever they stand,
and a subject that joins.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.webhooks.test_mappings import NOW, REPOSITORY, github, stripe, told
from upshot.errors import InvalidEvent
from upshot.webhooks.stripe import STRIPE
from upshot.webhooks.zendesk import ZENDESK

EARLIER, LATER = "2026-11-24T06:00:00Z", "2026-11-24T11:00:00Z"
HERE = NOW.isoformat()
STALE = {"created_at": EARLIER, "updated_at": EARLIER, "submitted_at": EARLIER, "number": 5, "labels": []}


@pytest.mark.parametrize(
    ("event", "action", "said"),
    [
        ("pull_request_review", "dismissed", {"pull_request": STALE, "review": STALE}),
        ("pull_request_review", "edited", {"pull_request": STALE, "review": STALE}),
        ("pull_request", "labeled", {"pull_request": STALE, "label": {"name": "bug"}}),
        ("pull_request", "reopened", {"pull_request": STALE | {"closed_at": EARLIER}}),
        ("pull_request", "edited", {"pull_request": STALE}),
        ("issues", "unlabeled", {"issue": STALE}),
        ("issues", "reopened", {"issue": STALE | {"closed_at": EARLIER}}),
        ("issue_comment", "deleted", {"issue": STALE, "comment": STALE}),
        ("check_run", "rerequested", {"check_run": STALE | {"completed_at": EARLIER, "head_sha": "abc"}}),
        ("workflow_run", "requested", {"workflow_run": STALE}),
        ("release", "created", {"release": STALE}),
        ("release", "edited", {"release": STALE | {"published_at": EARLIER}}),
        ("star", "deleted", {"starred_at": None}),
        (
            "delete",
            None,
            {"ref": "x", "ref_type": "branch", "repository": REPOSITORY | {"pushed_at": EARLIER}},
        ),
    ],
)
def test_the_time_of_an_object_is_not_that_of_the_event(
    event: str, action: str, said: dict[str, Any]
) -> None:
    [outcome] = github(event, **({"action": action} if action else {}), **said)
    assert outcome["time"] == HERE


@pytest.mark.parametrize(
    ("event", "action", "said"),
    [
        ("pull_request_review", "submitted", {"pull_request": STALE, "review": {"submitted_at": LATER}}),
        ("pull_request", "closed", {"pull_request": STALE | {"closed_at": LATER}}),
        ("pull_request", "opened", {"pull_request": STALE | {"created_at": LATER}}),
        ("issue_comment", "edited", {"issue": STALE, "comment": STALE | {"updated_at": LATER}}),
        ("check_run", "completed", {"check_run": STALE | {"completed_at": LATER}}),
        ("workflow_run", "completed", {"workflow_run": STALE | {"updated_at": LATER}}),
        ("deployment_status", "created", {"deployment": STALE, "deployment_status": {"created_at": LATER}}),
        ("release", "published", {"release": STALE | {"published_at": LATER}}),
        ("star", "created", {"starred_at": LATER}),
        ("status", None, {"sha": "abc", "created_at": LATER}),
    ],
)
def test_the_time_of_the_event_is_taken(event: str, action: str, said: dict[str, Any]) -> None:
    [outcome] = github(event, **({"action": action} if action else {}), **said)
    assert outcome["time"] == LATER


def test_a_push_has_the_time_at_which_it_came_to_github() -> None:
    [outcome] = github("push", after="abc", repository=REPOSITORY | {"pushed_at": 1_795_521_600})
    assert outcome["time"] == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize(
    ("event", "said", "subject", "facts"),
    [
        (
            "status",
            {"sha": "abc2", "state": "failure", "context": "ci/build"},
            "commit:acme/web@abc2",
            {"state": "failure", "context": "ci/build", "sha": "abc2"},
        ),
        (
            "pull_request",
            {"action": "dequeued", "reason": "CI_FAILURE", "pull_request": {"number": 6, "state": "open"}},
            "pr:acme/web#6",
            {"reason": "CI_FAILURE", "state": "open", "number": 6},
        ),
        (
            "merge_group",
            {
                "action": "destroyed",
                "reason": "invalidated",
                "merge_group": {"head_sha": "ab", "head_ref": "q"},
            },
            "commit:acme/web@ab",
            {"reason": "invalidated", "head_sha": "ab"},
        ),
        (
            "deployment_status",
            {
                "action": "created",
                "deployment": {"sha": "abc", "ref": "main", "id": 1, "environment": "live"},
                "deployment_status": {"state": "success", "id": 2},
            },
            "commit:acme/web@abc",
            {"state": "success", "sha": "abc", "ref": "main", "id": 2, "environment": "live"},
        ),
        (
            "push",
            {"ref": "refs/heads/x", "before": "ab", "after": "0" * 40, "deleted": True},
            "repo:acme/web",
            {"deleted": True, "before": "ab", "ref": "refs/heads/x", "after": None},
        ),
        (
            "pull_request",
            {"action": "labeled", "label": {"name": "revert"}, "pull_request": {"number": 1}},
            "pr:acme/web#1",
            {"label": "revert"},
        ),
        (
            "pull_request",
            {"action": "review_requested", "requested_team": {"slug": "core"}, "pull_request": {"number": 1}},
            "pr:acme/web#1",
            {"requested_team": "core"},
        ),
        (
            "pull_request_review",
            {
                "action": "dismissed",
                "review": {"id": 1, "state": "dismissed", "commit_id": "ab"},
                "pull_request": {"id": 9, "number": 5, "state": "open", "merged": False},
            },
            "pr:acme/web#5",
            {"state": "dismissed", "id": 1, "number": 5, "commit_id": "ab", "merged": False},
        ),
        (
            "pull_request",
            {"action": "edited", "changes": {"title": {"from": "a text"}}, "pull_request": {"number": 1}},
            "pr:acme/web#1",
            {"changed": ["title"]},
        ),
        ("star", {"repository": REPOSITORY | {"id": 7}}, "repo:acme/web", {"repository_id": 7}),
    ],
)
def test_facts_are_there_wherever_they_stand(
    event: str, said: dict[str, Any], subject: str, facts: dict[str, Any]
) -> None:
    [outcome] = github(event, **said)
    assert outcome["subject"] == subject
    assert {name: outcome["data"].get(name) for name in facts} == facts
    assert "a text" not in str(outcome)


def test_a_check_of_a_fork_is_about_the_pull_request_where_it_stands() -> None:
    pulls = [{"number": 1, "url": "https://api.github.com/repos/up/stream/pulls/1"}, {"number": 2}]
    outcomes = github("check_run", action="completed", check_run={"head_sha": "ab", "pull_requests": pulls})
    assert [outcome["subject"] for outcome in outcomes] == ["pr:up/stream#1", "pr:acme/web#2"]


@pytest.mark.parametrize(
    "about",
    [
        {"id": "issfr_1", "object": "radar.early_fraud_warning", "charge": "ch_1"},
        {"id": "prv_1", "object": "review", "charge": "ch_1"},
        {"id": "re_1", "object": "refund", "charge": {"id": "ch_1", "object": "charge"}},
        {"id": "dp_1", "object": "dispute", "charge": {"id": "ch_1"}, "payment_intent": "pi_1"},
        {"id": "prv_1", "object": "review", "payment_intent": {"id": "pi_1", "latest_charge": "ch_1"}},
        {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"},
    ],
)
def test_what_is_said_about_a_charge_is_news_of_it(about: dict[str, Any]) -> None:
    outcome = stripe("x.created", about)
    assert outcome["subject"] == "charge:ch_1"
    assert outcome["data"].get("charge", "ch_1") == "ch_1"


def test_a_charge_in_full_names_the_subject_and_tells_nothing_else() -> None:
    charge = {"id": "ch_1", "metadata": {"upshot_subject": "order:7"}, "receipt_email": "x@example.com"}
    outcome = stripe("refund.created", {"id": "re_1", "object": "refund", "charge": charge})
    assert outcome["subject"] == "order:7"
    assert outcome["data"] == {"id": "re_1", "object": "refund", "charge": "ch_1"}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"id": "evt_1", "object": "v2.core.event", "type": "v1.x", "related_object": {"id": "ch_1"}},
            r"thin event.* app\.map_outcomes\(…, webhook='stripe', subject='charge:\{related_object\.id\}'",
        ),
        ({"id": "evt_1", "type": "x", "created": 1_795_521_600, "data": {}}, "data.object"),
        ({"id": "evt_1", "type": "x", "data": {"object": {"object": "charge", "id": "c"}}}, "created"),
        (
            {"id": "evt_1", "type": "x", "created": 1_795_521_600, "data": {"object": {"object": "balance"}}},
            "the balance has no id",
        ),
        ([], "a JSON object, not list"),
    ],
)
def test_what_a_mapping_misses_is_said_in_words(event: Any, words: str) -> None:
    with pytest.raises(InvalidEvent, match=words):
        told(STRIPE, event)


def test_so_it_is_with_the_other_providers() -> None:
    with pytest.raises(InvalidEvent, match="the message has no such field"):
        github("pull_request", action="closed", pull_request={})
    with pytest.raises(InvalidEvent, match="subject is missing"):
        told(ZENDESK, {"type": "ticket.reopened"})
    with pytest.raises(InvalidEvent, match="a JSON object"):
        github_list: Any = []
        told(ZENDESK, github_list)

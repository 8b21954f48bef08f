"""The time of the event in a webhook of GitHub's: GitHub sends no such time, some payloads hold one.

An object's `updated_at` is the time of its last change, of whatever kind, so `updated_at` counts only where
nothing but the event itself can have been the change. Where no field holds the event's own time there is
none, and the outcome has the webhook's time of arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

#: By event and action: places of the time, `.`-separated from the payload's top; the first present counts.
_TIMES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "check_run": {"created": ["check_run.started_at"], "completed": ["check_run.completed_at"]},
    "check_suite": {"requested": ["check_suite.created_at"], "completed": ["check_suite.updated_at"]},
    "code_scanning_alert": {
        "created": ["alert.created_at"],
        "fixed": ["alert.fixed_at"],
        "closed_by_user": ["alert.dismissed_at"],
    },
    "commit_comment": {"created": ["comment.created_at"]},
    "dependabot_alert": {
        "created": ["alert.created_at"],
        "dismissed": ["alert.dismissed_at"],
        "auto_dismissed": ["alert.auto_dismissed_at"],
        "fixed": ["alert.fixed_at"],
    },
    "deployment": {"created": ["deployment.created_at"]},
    "deployment_status": {"created": ["deployment_status.created_at"]},
    "discussion": {
        "created": ["discussion.created_at"],
        "answered": ["discussion.answer_chosen_at"],
        "closed": ["discussion.closed_at"],
    },
    "discussion_comment": {"created": ["comment.created_at"], "edited": ["comment.updated_at"]},
    "fork": {"": ["forkee.created_at"]},
    "issue_comment": {"created": ["comment.created_at"], "edited": ["comment.updated_at"]},
    "issues": {"opened": ["issue.created_at"], "closed": ["issue.closed_at", "issue.updated_at"]},
    "milestone": {"created": ["milestone.created_at"], "closed": ["milestone.closed_at"]},
    "pull_request": {
        "opened": ["pull_request.created_at"],
        "closed": ["pull_request.closed_at", "pull_request.merged_at", "pull_request.updated_at"],
    },
    "pull_request_review": {"submitted": ["review.submitted_at"]},
    "pull_request_review_comment": {"created": ["comment.created_at"], "edited": ["comment.updated_at"]},
    "push": {"": ["repository.pushed_at"]},
    "release": {"published": ["release.published_at"]},
    "repository": {"created": ["repository.created_at"]},
    "secret_scanning_alert": {"created": ["alert.created_at"], "resolved": ["alert.resolved_at"]},
    "star": {"created": ["starred_at"]},
    "status": {"": ["created_at", "updated_at"]},
    "workflow_job": {
        "queued": ["workflow_job.created_at"],
        "in_progress": ["workflow_job.started_at"],
        "completed": ["workflow_job.completed_at"],
    },
    "workflow_run": {"requested": ["workflow_run.run_started_at"], "completed": ["workflow_run.updated_at"]},
}


def time_of(event: str, payload: Mapping[str, Any]) -> str | datetime | None:
    """When the event happened, as far as the payload says so."""
    action = payload.get("action")
    places = _TIMES.get(event, {}).get(action if isinstance(action, str) else "", ())
    return next((time for place in places if (time := _at(payload, place)) is not None), None)


def _at(payload: Any, place: str) -> str | datetime | None:
    found = payload
    for name in place.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, int) and not isinstance(found, bool):
        return datetime.fromtimestamp(found, UTC)
    return found if isinstance(found, str) and found else None


__all__ = ["time_of"]

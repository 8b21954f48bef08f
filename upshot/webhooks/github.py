"""What GitHub's webhooks mean, unless an app says otherwise: `github.pull_request.closed` of `pr:acme/web#12`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upshot.sources import Message, Source

#: The object that an event is about, by the event; by its own name where it isn't listed.
_OBJECTS: Mapping[str, str] = {
    "issues": "issue",
    "pull_request_review": "review",
    "issue_comment": "comment",
    "pull_request_review_comment": "comment",
    "commit_comment": "comment",
}
#: What is taken over of that object: facts to score by, not texts.
_FACTS = (
    "number",
    "state",
    "state_reason",
    "status",
    "conclusion",
    "merged",
    "draft",
    "additions",
    "deletions",
    "changed_files",
    "commits",
    "comments",
    "review_comments",
    "environment",
    "tag_name",
    "prerelease",
    "html_url",
)
_TIMES = ("submitted_at", "updated_at", "completed_at", "published_at", "created_at")


def _kind(message: Message) -> str:
    action = message.value.get("action")
    event = message.headers["x-github-event"]
    return f"github.{event}.{action}" if isinstance(action, str) else f"github.{event}"


def _subjects(message: Message) -> list[str]:
    """Pull requests first: of a check or a workflow all that it ran for."""
    said = message.value
    repository = said["repository"]["full_name"]
    if "pull_request" in said:
        return [f"pr:{repository}#{said['pull_request']['number']}"]
    if "issue" in said:
        kind = "pr" if "pull_request" in said["issue"] else "issue"
        return [f"{kind}:{repository}#{said['issue']['number']}"]
    about = _about(message)
    if pulls := [pull["number"] for pull in about.get("pull_requests") or ()]:
        return [f"pr:{repository}#{number}" for number in pulls]
    commit = about.get("head_sha") or about.get("sha") or said.get("after") or said.get("sha")
    return [f"commit:{repository}@{commit}" if commit else f"repo:{repository}"]


def _about(message: Message) -> dict[str, Any]:
    event = message.headers["x-github-event"]
    found = message.value.get(_OBJECTS.get(event, event))
    return found if isinstance(found, dict) else {}


def _time(message: Message) -> str | None:
    about = _about(message)
    return next((about[name] for name in _TIMES if isinstance(about.get(name), str)), None)


def _data(message: Message) -> dict[str, Any]:
    said, about = message.value, _about(message)
    facts = {name: about[name] for name in _FACTS if name in about}
    labels = (said.get("pull_request") or said.get("issue") or {}).get("labels") or ()
    people = {"sender": said.get("sender"), "author": about.get("user")}
    return {
        **facts,
        **{role: person["login"] for role, person in people.items() if person},
        "labels": [label["name"] for label in labels],
        "repository": said["repository"]["full_name"],
    }


GITHUB = Source(
    webhook="github",
    when=lambda message: message.headers.get("x-github-event") != "ping",
    type=_kind,
    subject=_subjects,
    id=lambda message: message.headers.get("x-github-delivery"),
    source=lambda message: message.value["repository"].get("html_url", "github"),
    time=_time,
    data=_data,
)

__all__ = ["GITHUB"]

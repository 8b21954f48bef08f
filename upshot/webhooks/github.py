"""GitHub's webhooks, unless an app has a mapping: `github.pull_request.closed` of `pr:acme/web#12`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from upshot.sources import Message, Source
from upshot.webhooks.github_times import time_of

#: The object of an event, by the event; an unlisted event's object has the event's name.
_OBJECTS: Mapping[str, str] = {
    "issues": "issue",
    "pull_request_review": "review",
    "pull_request_review_thread": "thread",
    "issue_comment": "comment",
    "pull_request_review_comment": "comment",
    "commit_comment": "comment",
    "discussion_comment": "comment",
    "dependabot_alert": "alert",
    "code_scanning_alert": "alert",
    "secret_scanning_alert": "alert",
    "status": "",
}
#: Objects around the object of an event, from the outermost; the object's own facts replace theirs.
_AROUND = ("pull_request", "issue", "discussion", "deployment", "workflow_run", "check_suite", "merge_group")
#: Facts taken from the object of an event only: a surrounding object's would be taken for its own.
_OWN = frozenset({"id", "state", "state_reason", "status", "conclusion", "reason", "html_url"})
#: Fields taken over: facts to score by, not texts.
_FACTS = (
    "id",
    "number",
    "state",
    "state_reason",
    "status",
    "conclusion",
    "reason",
    "resolution",
    "dismissed_reason",
    "merged",
    "draft",
    "locked",
    "additions",
    "deletions",
    "changed_files",
    "commits",
    "comments",
    "review_comments",
    "environment",
    "production_environment",
    "tag_name",
    "prerelease",
    "context",
    "event",
    "run_attempt",
    "run_number",
    "ref",
    "ref_type",
    "sha",
    "head_sha",
    "base_sha",
    "commit_id",
    "merge_commit_sha",
    "before",
    "after",
    "created",
    "deleted",
    "forced",
    "active_lock_reason",
    "author_association",
    "html_url",
)
#: Objects whose name is a fact: things added, taken away or requested beside the object, things run.
_BESIDE: Mapping[str, str] = {
    "label": "name",
    "milestone": "title",
    "assignee": "login",
    "requested_reviewer": "login",
    "requested_team": "slug",
    "workflow": "name",
    "requested_action": "identifier",
    "check_run": "name",
    "workflow_job": "name",
    "workflow_run": "name",
}
_NO_COMMIT = re.compile("0+")
_PULL_URL = re.compile(r"/repos/([^/]+/[^/]+)/pulls/\d+$")


def _event(message: Message) -> str:
    event = message.headers.get("x-github-event")
    if not event:
        raise ValueError("the header X-GitHub-Event, which names the event, is missing")
    return event


def _kind(message: Message) -> str:
    action = message.value.get("action")
    event = _event(message)
    return f"github.{event}.{action}" if isinstance(action, str) else f"github.{event}"


def _subjects(message: Message) -> list[str]:
    """Pull requests first: of a check or a workflow all pull requests of the run."""
    payload = message.value
    repository = _repository(message)["full_name"]
    if "pull_request" in payload:
        return [f"pr:{repository}#{payload['pull_request']['number']}"]
    if "issue" in payload:
        kind = "pr" if "pull_request" in payload["issue"] else "issue"
        return [f"{kind}:{repository}#{payload['issue']['number']}"]
    about = _about(message)
    if pulls := about.get("pull_requests"):
        return list(dict.fromkeys(_pull(repository, pull) for pull in pulls))
    commit = _commit(payload, about)
    return [f"commit:{repository}@{commit}" if commit else f"repo:{repository}"]


def _repository(message: Message) -> dict[str, Any]:
    if not isinstance(message.value, dict):
        raise ValueError(f"a webhook of GitHub's is a JSON object, not {type(message.value).__name__}")
    found = message.value.get("repository")
    if isinstance(found, dict) and isinstance(found.get("full_name"), str):
        return found
    raise ValueError(
        f"{_event(message)} names no repository, so there is no subject of ours: write a source of your "
        "own, app.map_outcomes(…, webhook='github', subject=…)"
    )


def _pull(repository: str, pull: Mapping[str, Any]) -> str:
    """A pull request of a check: of the repository to merge into, which may be another repository."""
    elsewhere = _PULL_URL.search(str(pull.get("url") or ""))
    return f"pr:{elsewhere[1] if elsewhere else repository}#{pull['number']}"


def _commit(payload: Mapping[str, Any], about: Mapping[str, Any]) -> str | None:
    """The commit of the event; a deleted branch has none any more."""
    deployment = payload.get("deployment") or {}
    suite = about.get("check_suite") or {}
    found = (
        about.get("head_sha"),
        about.get("sha"),
        deployment.get("sha"),
        suite.get("head_sha"),
        about.get("commit_id"),
        payload.get("after"),
        payload.get("sha"),
    )
    return next(
        (sha for sha in found if isinstance(sha, str) and sha and not _NO_COMMIT.fullmatch(sha)), None
    )


def _about(message: Message) -> dict[str, Any]:
    event = _event(message)
    found = message.value.get(_OBJECTS.get(event, event))
    return found if isinstance(found, dict) else {}


def _time(message: Message) -> str | datetime | None:
    return time_of(_event(message), message.value)


def _data(message: Message) -> dict[str, Any]:
    payload, about = message.value, _about(message)
    repository = _repository(message)
    labels = (payload.get("pull_request") or payload.get("issue") or {}).get("labels") or ()
    people = {"sender": payload.get("sender"), "author": about.get("user")}
    return {
        **_facts_of(payload, about),
        **{role: person["login"] for role, person in people.items() if person},
        **_beside(payload),
        "labels": [label["name"] for label in labels],
        "repository": repository["full_name"],
        **({"repository_id": repository["id"]} if "id" in repository else {}),
        **_before(payload),
    }


def _facts_of(payload: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The object's own facts; missing facts from the payload's top, and from the surrounding objects."""
    around = [
        found for name in _AROUND if isinstance(found := payload.get(name), dict) and found is not about
    ]
    facts: dict[str, Any] = {}
    for place in around:
        facts |= {name: value for name, value in _facts_at(place).items() if name not in _OWN}
    return facts | _facts_at(payload) | _facts_at(about)


def _facts_at(place: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: place[name] for name in _FACTS if _is_fact(place.get(name))}
    for end in ("head", "base"):
        if isinstance(branch := place.get(end), dict):
            facts |= {f"{end}_{name}": branch[name] for name in ("sha", "ref") if _is_fact(branch.get(name))}
    return facts


def _is_fact(value: Any) -> bool:
    """Whether the value is plain, and no all-zero commit id."""
    if isinstance(value, str):
        return len(value) <= 500 and not (len(value) >= 40 and _NO_COMMIT.fullmatch(value))
    return isinstance(value, bool | int | float)


def _beside(payload: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: payload.get(name) for name in _BESIDE}
    return {
        name: place[_BESIDE[name]]
        for name, place in found.items()
        if isinstance(place, dict) and _is_fact(place.get(_BESIDE[name]))
    }


def _before(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields changed by an edit, by name, and a repository's earlier name."""
    changes = payload.get("changes")
    earlier = earlier_name(payload)
    return {
        **({"changed": sorted(changes)} if isinstance(changes, dict) and changes else {}),
        **({"repository_before": earlier} if earlier else {}),
    }


def earlier_name(payload: Mapping[str, Any]) -> str | None:
    """A repository's name before the event renaming or transferring the repository."""
    full_name = (payload.get("repository") or {}).get("full_name")
    changes = payload.get("changes")
    if not isinstance(changes, dict) or not isinstance(full_name, str) or "/" not in full_name:
        return None
    owner, name = full_name.split("/", 1)
    was_name = _from(changes.get("repository"), "name")
    was_owner = _owner(changes.get("owner"))
    return f"{was_owner or owner}/{was_name or name}" if was_name or was_owner else None


def _from(changes: Any, name: str) -> str | None:
    found = changes.get(name) if isinstance(changes, dict) else None
    payload = found.get("from") if isinstance(found, dict) else None
    return payload if isinstance(payload, str) and payload else None


def _owner(changes: Any) -> str | None:
    found = changes.get("from") if isinstance(changes, dict) else None
    if not isinstance(found, dict):
        return None
    for kind in ("user", "organization"):
        if isinstance(found.get(kind), dict) and isinstance(found[kind].get("login"), str):
            return str(found[kind]["login"])
    return None


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

__all__ = ["GITHUB", "earlier_name"]

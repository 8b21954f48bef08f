"""The events of a pull request: a run, a wait, and, for a closed pull request, an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from upshot.demo.pulls import PullRequest
from upshot.errors import ConfigurationError
from upshot.streams.events.outgoing import OutgoingEvent

#: How long a wait is open: longer than the generated times reach back, so open pull requests are pending.
WITHIN = timedelta(days=90)
NAME = "merged"
OUTCOME = "pr.closed"
SOURCE = "demo"

_REACH = timedelta(days=30)
_LONGEST_REVIEW = timedelta(days=7)
_SIZES = ((10, "XS"), (50, "S"), (250, "M"), (1000, "L"))


@dataclass(frozen=True)
class Times:
    """The times of the agent's work and of the closing, and how much of these times is known."""

    started: datetime
    opened: datetime
    closed: datetime
    origin: str


def times_of(pull: PullRequest, now: datetime, seed: int) -> Times:
    """The times in the file, and generated times for the rest: the same for each row and seed, in any order.

    Raises ConfigurationError for a merge in the future.
    """
    random = Random(f"{seed}/{pull.pr_id}")
    worked = timedelta(seconds=random.randint(40, 1800))
    if pull.merged_at is not None:
        if pull.merged_at > now:
            raise ConfigurationError(
                f"pull request {pull.pr_id} was merged at {pull.merged_at.isoformat()}, in the future; "
                "nothing was played"
            )
        opened = pull.merged_at - timedelta(minutes=1) - random.random() * _LONGEST_REVIEW
        return Times(opened - worked, opened, pull.merged_at, "merge known, opening generated")
    opened = now - timedelta(minutes=1) - random.random() * (_REACH - timedelta(hours=1))
    closed = opened + random.random() * (now - opened)
    return Times(opened - worked, opened, closed, "generated")


def run_id_of(pull: PullRequest) -> str:
    """The id of the run behind this pull request."""
    return f"pr-{pull.pr_id}"


def run_of(pull: PullRequest, times: Times) -> OutgoingEvent:
    """The run behind the pull request."""
    run_id = run_id_of(pull)
    return _message(
        "runs",
        run_id,
        {
            "run_id": run_id,
            "agent": pull.agent,
            "status": "completed",
            "started_at": _text(times.started),
            "ended_at": _text(times.opened),
            "attributes": _attributes(pull, times),
        },
    )


def wait_of(pull: PullRequest, times: Times) -> OutgoingEvent:
    """The run's wait: was the pull request merged?"""
    return _message(
        "waits",
        _subject(pull),
        {
            "run_id": run_id_of(pull),
            "name": NAME,
            "subject": _subject(pull),
            "opened_at": _text(times.opened),
            "since": _text(times.started),
            "agent": pull.agent,
            "rule": {"on": {OUTCOME: {"score": "data.merged"}}, "within": f"P{WITHIN.days}D"},
        },
    )


def outcome_of(pull: PullRequest, times: Times) -> OutgoingEvent:
    """The outcome, as a CloudEvent."""
    return _message(
        "outcomes",
        _subject(pull),
        {
            "specversion": "1.0",
            "type": OUTCOME,
            "source": SOURCE,
            "id": f"{pull.pr_id}-closed",
            "subject": _subject(pull),
            "time": _text(times.closed),
            "data": {"merged": pull.merged, **_known(pull.counts)},
        },
    )


def _subject(pull: PullRequest) -> str:
    return f"pr:{pull.pr_id}"


def _attributes(pull: PullRequest, times: Times) -> dict[str, Any]:
    counts = {name: pull.counts[name] for name in ("files_changed", "additions", "deletions")}
    texts = {"language": pull.language, "task_type": pull.task_type, "size": _size(pull)}
    return {name: text for name, text in texts.items() if text} | _known(counts) | {"times": times.origin}


def _size(pull: PullRequest) -> str:
    """A T-shirt size by changed lines; empty where unknown."""
    added, deleted = pull.counts["additions"], pull.counts["deletions"]
    if added is None or deleted is None:
        return ""
    return next((size for limit, size in _SIZES if added + deleted < limit), "XL")


def _known(counts: dict[str, int | None]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count is not None}


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _message(topic: str, key: str, event: dict[str, Any]) -> OutgoingEvent:
    return OutgoingEvent(topic, key, msgspec.json.encode(event))


__all__ = [
    "NAME",
    "OUTCOME",
    "WITHIN",
    "Times",
    "outcome_of",
    "run_id_of",
    "run_of",
    "times_of",
    "wait_of",
]

"""Made histories whose right answer is known by construction, not by running the code under test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

MERGED = {"pr.closed": {"score": "data.merged"}}
DUPLICATES = 0.05
MISPLACED = 0.1
SHAPES = ("merged", "early", "silent", "last", "count", "late", "open", "given", "garbage")


@dataclass(frozen=True)
class Message:
    """One record to send. `misplaced` asks for a partition that isn't its key's."""

    topic: str
    key: str
    value: bytes
    misplaced: bool = False


@dataclass(frozen=True)
class Case:
    """One run and what must become of it: `expected` is its score's value, None where it stays open."""

    run_id: str
    shape: str
    messages: list[Message] = field(default_factory=list)
    expected: float | None = None


def cases(seed: int, since: datetime | None = None) -> Iterator[Case]:
    """Cases without end, the same for the same seed and start."""
    random = Random(seed)
    since = since or datetime.now(UTC)
    number = 0
    while True:
        number += 1
        yield _case(random, f"run-{seed}-{number}", SHAPES[number % len(SHAPES)], since)


def _case(random: Random, run_id: str, shape: str, now: datetime) -> Case:
    subject = f"pr:{run_id}"
    run = {
        "run_id": run_id,
        "agent": random.choice(["a", "b"]),
        "status": "completed",
        "started_at": _text(now),
    }
    messages = [_message("runs", run_id, run)]
    expected: float | None = None
    yes = random.random() < 0.5
    if shape in ("merged", "early"):
        expected = float(yes)
        pair = [_wait(run_id, subject, now), _outcome(random, run_id, 1, subject, now, merged=yes)]
        messages += reversed(pair) if shape == "early" else pair
    elif shape == "silent":
        expected = 0.0
        messages.append(_wait(run_id, subject, now - timedelta(days=14), within="P14DT5S"))
    elif shape == "last":
        expected = float(yes)
        both = [
            _outcome(random, run_id, 1, subject, now, merged=not yes),
            _outcome(random, run_id, 2, subject, now + timedelta(seconds=1), merged=yes),
        ]
        random.shuffle(both)
        messages += [_wait(run_id, subject, now, mode="last"), *both]
    elif shape == "count":
        expected = float(random.randint(1, 4))
        messages.append(_wait(run_id, subject, now, mode="count", otherwise=None))
        messages += [_outcome(random, run_id, n, subject, now, merged=True) for n in range(int(expected))]
    elif shape == "late":
        expected = float(yes)
        opened = now - timedelta(days=20)
        messages.append(_wait(run_id, subject, opened, otherwise=not yes))
        messages.append(_outcome(random, run_id, 1, subject, opened + timedelta(days=3), merged=yes))
    elif shape == "open":
        messages.append(_wait(run_id, subject, now))
    elif shape == "given":
        expected = round(random.random(), 3)
        first = {
            "run_id": run_id,
            "name": "merged",
            "value": 0.5,
            "decided_at": _text(now - timedelta(minutes=1)),
        }
        second = first | {"value": expected, "decided_at": _text(now)}
        messages += [_message("scores", run_id, event) for event in random.sample([first, second], 2)]
    else:
        messages.append(
            Message(random.choice(["outcomes", "waits", "runs", "scores"]), run_id, b"{" + run_id.encode())
        )
    repeated = [message for message in messages if random.random() < DUPLICATES and shape != "garbage"]
    return Case(run_id, shape, messages + repeated, expected)


def _wait(
    run_id: str,
    subject: str,
    opened: datetime,
    *,
    within: str = "P14D",
    mode: str = "first",
    otherwise: Any = False,
) -> Message:
    rule = {"on": MERGED, "within": within, "mode": mode, "else": otherwise}
    event = {"run_id": run_id, "name": "merged", "subject": subject, "opened_at": _text(opened), "rule": rule}
    return _message("waits", subject, event)


def _outcome(
    random: Random, run_id: str, number: int, subject: str, time: datetime, *, merged: bool
) -> Message:
    event = {
        "id": f"{run_id}-{number}",
        "source": "crash-test",
        "type": "pr.closed",
        "subject": subject,
        "time": _text(time + timedelta(milliseconds=number)),
        "data": {"merged": merged},
    }
    return _message("outcomes", subject, event, misplaced=random.random() < MISPLACED)


def _message(topic: str, key: str, event: dict[str, Any], *, misplaced: bool = False) -> Message:
    return Message(topic, key, json.dumps(event).encode(), misplaced)


def _text(instant: datetime) -> str:
    return instant.isoformat()

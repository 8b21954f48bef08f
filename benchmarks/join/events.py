"""Waits and outcomes with a known answer, in the contract's JSON, the same for every system."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

#: One of so many waits has no outcome, and as many outcomes have no wait.
ALONE = 20
#: One of so many events is a repetition of an earlier one.
REPEATED = 20
#: An outcome lies up to so many places before or after its wait.
SCATTER = 10_000
#: Begin of the histories: everything lies in the past, no deadline is near.
AGE = timedelta(hours=6)


class Message(NamedTuple):
    """A record; both topics are written in the same span of time."""

    key: bytes
    value: bytes
    timestamp_ms: int = 0


class Events(NamedTuple):
    """Both topics in order, the right score of every scored run, and the number of subjects."""

    waits: Sequence[Message]
    outcomes: Sequence[Message]
    truth: dict[str, bool]
    subjects: int

    @property
    def count(self) -> int:
        """Records of both topics."""
        return len(self.waits) + len(self.outcomes)

    @property
    def mean_bytes(self) -> float:
        """Of a value."""
        return sum(len(message.value) for message in (*self.waits, *self.outcomes)) / self.count


def make_events(count: int, seed: int, now: datetime | None = None) -> Events:
    """`count` events, half waits, half outcomes; but for the instants, counted from `now`, `seed` fixes them.

    Half of the outcomes lie before their wait, and 5 % of all events are repetitions.
    """
    chance = random.Random(seed)
    begin = (now or datetime.now(UTC)).replace(microsecond=0) - AGE
    each = count // 2
    unique = each - each // REPEATED
    alone = unique // ALONE
    subjects = unique + alone
    drawn = chance.sample(range(subjects), 2 * alone)
    unasked, unanswered = set(drawn[:alone]), set(drawn[alone:])
    scatter = min(SCATTER, subjects // 4)
    merged = [chance.random() < 0.6 for _ in range(subjects)]
    waits = [(float(n), n) for n in range(subjects) if n not in unasked]
    outcomes = [(n + chance.uniform(-scatter, scatter), n) for n in range(subjects) if n not in unanswered]
    written = begin + AGE / 2
    return Events(
        _laid_out(waits, each, chance, lambda n: _wait(n, begin), written),
        _laid_out(outcomes, each, chance, lambda n: _outcome(n, begin, merged[n]), written),
        {_run(n): merged[n] for n in range(subjects) if n not in unasked and n not in unanswered},
        subjects,
    )


def _laid_out(
    placed: list[tuple[float, int]],
    count: int,
    chance: random.Random,
    make: Callable[[int], Message],
    written: datetime,
) -> list[Message]:
    """In the order of their places, filled up to `count` with repetitions further on."""
    again = chance.choices(placed, k=count - len(placed))
    repeated = [(place + chance.uniform(0, SCATTER), n) for place, n in again]
    made = {n: make(n) for _, n in placed}
    from_ms = int(written.timestamp() * 1000)
    laid = sorted([*placed, *repeated])
    return [made[n]._replace(timestamp_ms=from_ms + place) for place, (_, n) in enumerate(laid)]


def _run(n: int) -> str:
    return f"run-{n:07d}"


def _subject(n: int) -> str:
    return f"pr:acme/web#{n}"


def _wait(n: int, begin: datetime) -> Message:
    wait = {
        "wait_id": f"w-{n:07d}",
        "run_id": _run(n),
        "name": "merged",
        "subject": _subject(n),
        "opened_at": _instant(begin, n),
        "rule": {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False},
        "agent": "coder",
        "attributes": {"language": "Python", "pad": "x" * 32},
    }
    return _message(n, wait)


def _outcome(n: int, begin: datetime, merged: bool) -> Message:
    outcome = {
        "specversion": "1.0",
        "type": "pr.closed",
        "source": "https://git.example/acme/web",
        "id": f"delivery-{n:07d}",
        "subject": _subject(n),
        "time": _instant(begin + timedelta(hours=1), n),
        "data": {"merged": merged, "number": n, "pad": "x" * 80},
    }
    return _message(n, outcome)


def _instant(begin: datetime, n: int) -> str:
    return (begin + timedelta(milliseconds=n)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(n: int, event: dict[str, object]) -> Message:
    return Message(_subject(n).encode(), json.dumps(event, separators=(",", ":")).encode())

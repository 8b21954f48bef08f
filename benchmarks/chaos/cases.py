"""Made histories whose right answer is known by construction, not by running the code under test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from benchmarks.chaos import hostile

#: Of the messages so many are sent twice, and so many outcomes and waits to a partition that isn't theirs.
_DUPLICATES, _MISPLACED = 0.05, 0.1
#: Bytes of a huge outcome that counts, and of one that is refused.
_HUGE, _TOO_HUGE = 500_000, 1_100_000
_ON_MERGED = {"pr.closed": {"score": "data.merged"}}


@dataclass(frozen=True)
class Message:
    """One record to send. `misplaced` asks for a partition that isn't its key's."""

    topic: str
    key: str
    value: bytes | None
    misplaced: bool = False


@dataclass
class Case:
    """One run and what must become of it.

    `expected` has the current score by (run, name, subject), None where there must be none; subject is
    empty for given scores.
    """

    run_id: str
    shape: str
    now: datetime
    random: Random
    messages: list[Message] = field(default_factory=list)
    expected: dict[tuple[str, str, str], float | None] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The subject that most of its waits ask about."""
        return f"pr:{self.run_id}"

    def send(self, topic: str, key: str, event: dict[str, Any]) -> None:
        """Add an event to what is sent."""
        misplaced = topic in ("outcomes", "waits", "deferrals") and self.random.random() < _MISPLACED
        self.messages.append(Message(topic, key, json.dumps(event).encode(), misplaced))

    def raw(self, topic: str, key: str, value: bytes) -> None:
        """Add bytes that are no event."""
        self.messages.append(Message(topic, key, value))

    def run(self) -> None:
        """The run itself."""
        event = {"run_id": self.run_id, "agent": self.random.choice("ab"), "status": "completed"}
        self.send("runs", self.run_id, event | {"started_at": _text(self.now)})

    def wait(
        self,
        *,
        name: str = "merged",
        opened: datetime | None = None,
        on: dict[str, Any] = _ON_MERGED,
        mode: str = "first",
        within: str = "P14D",
        otherwise: bool | None = False,
        subject: str | None = None,
    ) -> None:
        """Ask; by itself whether it's merged within 14 days."""
        about = subject or self.subject
        asked = {"on": on, "mode": mode, "within": within, "else": otherwise}
        event = {"run_id": self.run_id, "name": name, "subject": about, "rule": asked}
        self.send("waits", about, event | {"opened_at": _text(opened or self.now)})

    def outcome(
        self,
        number: int,
        data: Any,
        *,
        time: datetime | None = None,
        kind: str = "pr.closed",
        subject: str | None = None,
    ) -> None:
        """Something happens, a little later for each number."""
        about = subject or self.subject
        event = {
            "id": f"{self.run_id}-{number}",
            "source": "chaos",
            "type": kind,
            "subject": about,
            "time": _text((time or self.now) + timedelta(milliseconds=number)),
            "data": data,
        }
        self.send("outcomes", about, event)

    def score(self, value: bool | float | None, name: str = "merged", subject: str | None = None) -> None:
        """What must come of it."""
        key = (self.run_id, name, self.subject if subject is None else subject)
        self.expected[key] = None if value is None else float(value)

    def shuffle(self) -> None:
        """Send in any order."""
        self.random.shuffle(self.messages)


def _first(case: Case) -> None:
    yes = case.random.random() < 0.5
    case.wait()
    case.outcome(1, {"merged": yes})
    case.shuffle()
    case.score(yes)


def _silent(case: Case) -> None:
    """Nothing comes, and the deadline is a few seconds ahead: most pass in the middle of the chaos."""
    expires = case.random.random() < 0.3
    seconds = case.random.randint(2, 15)
    case.wait(
        opened=case.now - timedelta(days=14),
        within=f"P14DT{seconds}S",
        otherwise=None if expires else False,
    )
    case.score(None if expires else False)


def _in_time(case: Case) -> None:
    """The deadline is near, and the answer is on the way already."""
    case.wait(opened=case.now - timedelta(days=14), within="P14DT3S")
    case.outcome(1, {"merged": True})
    case.score(True)


def _last(case: Case) -> None:
    yes = case.random.random() < 0.5
    case.wait(mode="last")
    case.outcome(1, {"merged": not yes})
    case.outcome(2, {"merged": yes})
    case.shuffle()
    case.score(yes)


def _count(case: Case) -> None:
    number = case.random.randint(1, 5)
    case.wait(name="closings", mode="count", otherwise=None)
    for n in range(number):
        case.outcome(n, {"merged": True})
    case.shuffle()
    case.score(number, "closings")


def _sum(case: Case) -> None:
    amounts = [case.random.randint(-50, 50) / 4 for _ in range(case.random.randint(1, 5))]
    case.wait(name="paid", on={"order.paid": {"score": "data.amount"}}, mode="sum", otherwise=None)
    for n, amount in enumerate(amounts):
        case.outcome(n, {"amount": amount}, kind="order.paid")
    case.shuffle()
    case.score(sum(amounts), "paid")


def _all(case: Case) -> None:
    """Two types must come; sometimes only one does, and it stays open."""
    values = [case.random.random() < 0.7, case.random.random() < 0.7]
    both = case.random.random() < 0.8
    case.wait(on={"ci.passed": {"score": "data.ok"}, "pr.closed": {"score": "data.ok"}}, mode="all")
    case.outcome(1, {"ok": values[0]}, kind="ci.passed")
    if both:
        case.outcome(2, {"ok": values[1]})
    case.shuffle()
    case.score(all(values) if both else None)


def _late(case: Case) -> None:
    """The deadline is long over; the answer from inside the window comes now."""
    yes = case.random.random() < 0.5
    opened = case.now - timedelta(days=20)
    case.wait(opened=opened, otherwise=not yes)
    case.outcome(1, {"merged": yes}, time=opened + timedelta(days=3))
    case.shuffle()
    case.score(yes)


def _corrected(case: Case) -> None:
    """One outcome is told twice; what it was said to be at the earlier time counts."""
    yes = case.random.random() < 0.5
    case.wait()
    case.outcome(1, {"merged": yes})
    case.outcome(1, {"merged": not yes}, time=case.now + timedelta(seconds=1))
    case.shuffle()
    case.score(yes)


def _conditional(case: Case) -> None:
    """Only the outcome that meets the condition counts, however many others come."""
    case.wait(on={"pr.closed": {"score": "data.merged", "when": "data.final"}})
    case.outcome(1, {"merged": True, "final": False})
    case.outcome(2, {"merged": False, "final": True})
    case.shuffle()
    case.score(False)


def _several(case: Case) -> None:
    """Three questions about one subject."""
    case.wait()
    case.wait(name="stays", on={"ticket.reopened": {"score": False}}, otherwise=True)
    case.wait(name="closings", mode="count", otherwise=None)
    case.outcome(1, {"merged": True})
    case.outcome(2, {"merged": False})
    case.shuffle()
    case.score(True)
    case.score(None, "stays")
    case.score(2, "closings")


def _open(case: Case) -> None:
    case.wait()
    case.score(None)


def _cancelled(case: Case) -> None:
    """Nobody needs the wait any more: what was decided before counts, what comes after doesn't."""
    opened = case.now - timedelta(hours=1)
    minutes = case.random.choice([15, 45, None])
    counts = case.random.random() < 0.3
    mode, otherwise = ("count", None) if counts else ("first", False)
    name = "closings" if counts else "merged"
    case.wait(name=name, mode=mode, opened=opened, otherwise=otherwise)
    event = {"run_id": case.run_id, "name": name, "subject": case.subject}
    case.send("waits", case.subject, event | {"cancelled_at": _text(opened + timedelta(minutes=30))})
    if minutes is not None:
        case.outcome(1, {"merged": True}, time=opened + timedelta(minutes=minutes))
    case.shuffle()
    case.score(True if minutes == 15 and not counts else None, name)


def _follow_up(case: Case) -> None:
    """Waits, scores, and defers another that does.

    What it heard may be told otherwise later, and then it may not count.
    """
    begun = case.now - timedelta(days=case.random.choice([0, 20]), seconds=1)
    ticket = f"ticket:{case.run_id}"
    event = {"run_id": case.run_id, "scorer": "closed", "data": ticket, "followup_id": f"f-{case.run_id}"}
    case.send("deferrals", event["followup_id"], event | {"deferred_at": _text(begun)})
    first, second = case.random.random() < 0.8, case.random.random() < 0.4
    taken_back, reopened = case.random.random() < 0.5, case.random.random() < 0.5
    if first:
        case.outcome(1, {"effort": 1}, time=begun, kind="ticket.closed", subject=ticket)
    if first and taken_back:
        early = begun - timedelta(days=2)
        case.outcome(1, {"effort": 1}, time=early, kind="ticket.closed", subject=ticket)
    if second:
        case.outcome(2, {"effort": 2}, time=begun, kind="ticket.closed", subject=ticket)
    if reopened:
        case.outcome(3, {}, time=begun, kind="ticket.reopened", subject=ticket)
    case.shuffle()
    effort = 1 if first and not taken_back else 2 if second else None
    case.score(effort, "closed", ticket if effort else "")
    if effort and reopened:
        case.score(False, "stayed_closed", ticket)
    else:
        passed = case.now - begun > timedelta(days=14)
        case.score(True if effort and passed else None, "stayed_closed", "")


def _given(case: Case) -> None:
    value = round(case.random.random(), 3)
    for given, ago in ((value, 0), (0.5, 60)):
        event = {"run_id": case.run_id, "name": "helpful", "value": given}
        decided = _text(case.now - timedelta(seconds=ago))
        case.send("scores", case.run_id, event | {"decided_at": decided})
    case.shuffle()
    case.score(value, "helpful", subject="")


def _unusable(case: Case) -> None:
    """What should count says nothing usable: refused, and the next one counts."""
    case.wait()
    case.outcome(1, {"merged": "perhaps"})
    case.outcome(2, {"merged": True})
    case.shuffle()
    case.score(True)


def _garbage(case: Case) -> None:
    topic = case.random.choice(["outcomes", "waits", "runs", "scores"])
    name = case.run_id.encode()
    values: list[bytes | None] = [
        b"{" + name,
        b"\xff\xfe" + name,
        b'["' + name + b'"]',
        b'{"run_id": "' + name + b'", "name": NaN}',
        b'{"garbage": "' + name + b'"}',
        b"",
        None,
    ]
    for value in case.random.sample(values, 2):
        case.messages.append(Message(topic, case.run_id, value))


def _huge(case: Case) -> None:
    """An outcome of half a megabyte counts, one of more than a megabyte is refused."""
    case.wait(name="closings", mode="count", otherwise=None)
    case.outcome(1, {"merged": True, "log": "x" * _HUGE})
    case.outcome(2, {"merged": True, "log": "y" * _TOO_HUGE})
    case.shuffle()
    case.score(1, "closings")


_Shape = Callable[[Case], None]
#: What is made, and how often, relatively.
SHAPES: dict[str, tuple[_Shape, int]] = {
    "first": (_first, 60),
    "silent": (_silent, 40),
    "in_time": (_in_time, 30),
    "last": (_last, 30),
    "count": (_count, 30),
    "sum": (_sum, 30),
    "all": (_all, 30),
    "late": (_late, 30),
    "corrected": (_corrected, 30),
    "conditional": (_conditional, 30),
    "several": (_several, 30),
    "open": (_open, 20),
    "cancelled": (_cancelled, 30),
    "follow_up": (_follow_up, 60),
    "given": (_given, 30),
    "unusable": (_unusable, 20),
    "garbage": (_garbage, 20),
    "huge": (_huge, 1),
    **hostile.SHAPES,
}


def cases(seed: int, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Case]:
    """Cases without end, the same for the same seed and clock."""
    random = Random(seed)
    names, weights = list(SHAPES), [weight for _, weight in SHAPES.values()]
    number = 0
    while True:
        number += 1
        (shape,) = random.choices(names, weights)
        case = Case(f"run-{seed}-{number}", shape, clock(), random)
        case.run()
        SHAPES[shape][0](case)
        case.messages += [message for message in case.messages if random.random() < _DUPLICATES]
        yield case


def _text(instant: datetime) -> str:
    return instant.isoformat()


__all__ = ["SHAPES", "Case", "Message", "cases"]

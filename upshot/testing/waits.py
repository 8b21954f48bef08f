"""A wait played through in milliseconds: its rule is evaluated by the join of a worker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from upshot.errors import Misuse
from upshot.processors.correlate.facts import ScoreRevised, UnusableOutcome
from upshot.schemas.waits import Mode
from upshot.sdk.facts import outcome_message, wait_message
from upshot.sdk.rules import Says
from upshot.streams.events.instants import MICROSECOND, Micros, instant, micros
from upshot.testing.world import World

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class WaitRehearsal:
    """A wait in a test, made by `wait`: report outcomes and let time pass, then look at its score."""

    def __init__(self, wait: bytes, subject: str, opened_at: datetime) -> None:
        self._world = World()
        self._subject = subject
        self._now: Micros = micros(opened_at)
        self._reported = 0
        self._world.ask(wait, self._now)

    @property
    def now(self) -> datetime:
        """The time in this test."""
        return instant(self._now)

    @property
    def score(self) -> bool | float | None:
        """The current score; None where there is no score (yet), or the wait expired without a score."""
        scored = self._scored()
        return scored[-1].revision.verdict.value if scored else None

    @property
    def reason(self) -> str | None:
        """Its reason: `outcome`, `deadline`, `expired` or `reopened`; None before the first answer."""
        scored = self._scored()
        return scored[-1].revision.verdict.reason if scored else None

    @property
    def revisions(self) -> list[bool | float | None]:
        """The successive values of the score."""
        return [fact.revision.verdict.value for fact in self._scored()]

    @property
    def pending(self) -> bool:
        """Whether the deadline is still to come and nothing has decided yet."""
        return not self._scored()

    @property
    def refused(self) -> list[str]:
        """Outcomes named by the rule without a usable score, by the reason: each is a dead letter."""
        return [fact.detail for fact in self._world.facts if isinstance(fact, UnusableOutcome)]

    def outcome(
        self,
        type: str,
        subject: Any = None,
        data: Any = None,
        *,
        at: datetime | None = None,
        id: str | None = None,
        source: str = "test",
    ) -> None:
        """Report an outcome with the time `at`, now where absent. The same `id` means the same outcome.

        `subject` is the wait's where absent.
        """
        if subject is not None and not isinstance(subject, str):
            subject, data = None, subject
        self._reported += 1
        happened = self.now if at is None else at
        if happened > self.now:
            raise Misuse(f"at={at} is still to come: write w.advance(…) first, it is {self.now.isoformat()}")
        message = outcome_message(
            type=type,
            subject=subject or self._subject,
            data=data,
            id=id or f"outcome-{self._reported}",
            source=source,
            time=happened,
        )
        self._world.tell(message.value, self._now)

    def advance(self, length: timedelta) -> None:
        """Let time pass: a deadline passing meanwhile is evaluated."""
        until = self._now + length // MICROSECOND
        while (due := self._world.next_look()) is not None and due <= until:
            self._now = max(self._now, due)
            self._world.judge(self._now)
        self._now = until

    def __repr__(self) -> str:
        refused = "".join(f", refused: {reason}" for reason in self.refused)
        return f"<wait about {self._subject}: {'pending' if self.pending else self.score}{refused}>"

    def _scored(self) -> list[ScoreRevised]:
        return [fact for fact in self._world.facts if isinstance(fact, ScoreRevised)]


@contextmanager
def wait(
    name: str | Mapping[str, Any],
    subject: str = "subject:1",
    *,
    on: Mapping[str, Says] | Sequence[str] = (),
    within: timedelta | str = timedelta(days=14),
    otherwise: bool | float | None = None,
    mode: Mode = "first",
    opened_at: datetime = _START,
    run_started_at: datetime | None = None,
) -> Iterator[WaitRehearsal]:
    """Open a wait in a test, with the arguments of `run.wait`, or an app's sent wait: `wait(sent.waits[0])`.

    Raises Misuse for an inconsistent rule, as `run.wait` does.
    """
    if isinstance(name, Mapping):
        event = dict(name)
        opened = datetime.fromisoformat(event["opened_at"]) if event.get("opened_at") else opened_at
        yield WaitRehearsal(json.dumps(event).encode(), str(event["subject"]), opened)
        return
    message, _ = wait_message(
        run_id="run-1",
        name=name,
        subject=subject,
        on=on,
        within=within,
        otherwise=otherwise,
        mode=mode,
        wait_id=None,
        opened_at=opened_at,
        since=run_started_at or opened_at,
    )
    yield WaitRehearsal(message.value, subject, opened_at)


__all__ = ["WaitRehearsal", "wait"]

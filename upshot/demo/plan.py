"""The order of sending: mixed up on purpose, the same for each seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from upshot.demo.events import WITHIN, outcome_of, run_id_of, run_of, times_of, wait_of
from upshot.demo.pulls import PullRequest
from upshot.streams.events.outgoing import OutgoingEvent

#: Of the outcomes in the bulk: so many are sent before their wait, and so many are sent twice.
EARLY_SHARE = 0.25
TWICE_SHARE = 0.10
#: Outcomes held back to be timed, where the file has enough.
PACED = 200


@dataclass(frozen=True)
class Paced:
    """An outcome sent by the clock, and the run whose score depends on the outcome."""

    run_id: str
    message: OutgoingEvent


@dataclass(frozen=True)
class Plan:
    """Everything sent by the demo: the bulk at once, then the paced outcomes."""

    bulk: Sequence[OutgoingEvent]
    paced: Sequence[Paced]
    early: int
    twice: int

    def unique(self, topic: str) -> int:
        """Different events of `topic` in the bulk."""
        return len({message for message in self.bulk if message.topic == topic})


def plan(pulls: Sequence[PullRequest], now: datetime, seed: int) -> Plan:
    """The whole play. At most half of the outcomes are held back for pacing."""
    random = Random(seed)
    chosen = _held_back(pulls, random)
    held_back = {pull.pr_id for pull in chosen}
    at: list[tuple[float, int, OutgoingEvent]] = []
    early = twice = 0

    def put(moment: float, message: OutgoingEvent) -> None:
        at.append((moment, len(at), message))

    for pull in pulls:
        times = times_of(pull, now, seed)
        asked = random.random()
        put(asked + random.uniform(-0.1, 0.1), run_of(pull, times))
        put(asked, wait_of(pull, times))
        if not pull.is_closed or pull.pr_id in held_back:
            continue
        # A window ended long ago expires as soon as its wait is read: the outcome must be there before.
        before = random.random() < EARLY_SHARE or times.opened + WITHIN < now
        outcome = outcome_of(pull, times)
        early += before
        put(asked - random.random() if before else asked + random.random(), outcome)
        if random.random() < TWICE_SHARE:
            twice += 1
            put(asked + random.random(), outcome)
    paced = [Paced(run_id_of(pull), outcome_of(pull, times_of(pull, now, seed))) for pull in chosen]
    return Plan([message for _, _, message in sorted(at)], paced, early, twice)


def _held_back(pulls: Sequence[PullRequest], random: Random) -> list[PullRequest]:
    """Closed pull requests; with a merge long past only where there are no others."""
    closed = [pull for pull in pulls if pull.is_closed]
    recent = [pull for pull in closed if pull.merged_at is None] or closed
    return random.sample(recent, min(PACED, (len(recent) + 1) // 2))


__all__ = ["EARLY_SHARE", "PACED", "TWICE_SHARE", "Paced", "Plan", "plan"]

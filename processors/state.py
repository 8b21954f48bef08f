"""What the join remembers of one subject, as plain immutable data.

Instants are whole microseconds since 1970 in UTC (`Micros`): exact, small, and quick to compare.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from upshot.schemas.outcomes import Outcome
from upshot.schemas.scores import Reason
from upshot.schemas.waits import Mode, Wait

Micros = int
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> Micros:
    """An aware datetime as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(at: Micros) -> datetime:
    """Microseconds since 1970 as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=at)


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an outcome of one type says: a constant or a path, and under which condition."""

    score: bool | float | str | None = None
    when: str | None = None


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """How outcomes become a score; see `upshot.schemas.waits.Rule`."""

    on: dict[str, Match]
    nothing_came: bool | float | None = None
    mode: Mode = "first"


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wait, as the join keeps it. Outcomes count from `since` to `deadline`, both included."""

    wait_id: str
    run_id: str
    name: str
    opened_at: Micros
    since: Micros
    deadline: Micros
    rule: Rule
    step_id: str | None = None
    agent: str | None = None
    exposures: list[dict[str, Any]] = []
    attributes: dict[str, Any] = {}

    @property
    def rank(self) -> tuple[Micros, bytes]:
        """Of two waits with one id the lesser counts: what was asked again can't move the window."""
        return self.opened_at, msgspec.json.encode(self, order="sorted")


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """An outcome that is kept: what it says, when it arrived and where it lies in Kafka."""

    id: str
    type: str
    time: Micros
    arrived: Micros
    partition: int
    offset: int
    source: str = ""
    data: Any = None

    @property
    def key(self) -> str:
        """What makes two deliveries the same outcome."""
        return f"{self.source}\n{self.id}"

    @property
    def rank(self) -> tuple[Micros, bytes]:
        """Of two deliveries of one outcome the lesser counts: what was sent again can't move it to later."""
        return self.time, msgspec.json.encode((self.type, self.data), order="sorted")


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a question's answer is, given all that is known. `at` is event time."""

    value: bool | float | None
    reason: Reason
    at: Micros
    outcome_id: str | None = None


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A verdict as it was announced: numbered from 1, with our own time of deciding."""

    number: int
    verdict: Verdict
    decided_at: Micros
    late: bool = False


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question and the history of its answers. `judged_at` is set once its deadline was judged."""

    question: Question
    arrived: Micros
    judged_at: Micros | None = None
    revisions: tuple[Revision, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The answer as announced last; None before the first."""
        return self.revisions[-1].verdict if self.revisions else None

    @property
    def is_open(self) -> bool:
        """Whether its deadline is still to be judged."""
        verdict = self.verdict
        return self.judged_at is None and (verdict is None or verdict.reason == "reopened")


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is remembered of one subject: outcomes by key, questions by wait id."""

    outcomes: dict[str, Known] = {}
    waits: dict[str, Waiting] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.outcomes and not self.waits


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Subject)


def encode_subject(subject: Subject) -> bytes | None:
    """The table's value for a subject; None (a deletion) where nothing is left."""
    return None if subject.is_empty else _encoder.encode(subject)


def decode_subject(value: bytes | None) -> Subject:
    """The subject behind a table's value; an empty one where there is none."""
    return Subject() if value is None else _decoder.decode(value)


def question_of(wait: Wait) -> Question:
    """An identified wait (see `Wait.identified`) as the join keeps it."""
    if wait.wait_id is None or wait.opened_at is None:
        raise ValueError("the wait is not identified")
    opened_at = micros(wait.opened_at)
    return Question(
        wait_id=wait.wait_id,
        run_id=wait.run_id,
        name=wait.name,
        opened_at=opened_at,
        since=opened_at if wait.since is None else micros(wait.since),
        deadline=opened_at + wait.rule.within // _MICROSECOND,
        rule=Rule(
            on={kind: Match(match.score, match.when) for kind, match in wait.rule.on.items()},
            nothing_came=wait.rule.nothing_came,
            mode=wait.rule.mode,
        ),
        step_id=wait.step_id,
        agent=wait.agent,
        exposures=[exposure.model_dump() for exposure in wait.exposures],
        attributes=wait.attributes,
    )


def known_of(outcome: Outcome, arrived: Micros, partition: int, offset: int) -> Known:
    """An outcome with id and time filled in (see `decode_outcome`) as the join keeps it."""
    if outcome.id is None or outcome.time is None:
        raise ValueError("the outcome has no id or no time")
    return Known(
        id=outcome.id,
        type=outcome.type,
        time=micros(outcome.time),
        arrived=arrived,
        partition=partition,
        offset=offset,
        source=outcome.source,
        data=outcome.data,
    )


__all__ = [
    "Known",
    "Match",
    "Micros",
    "Question",
    "Revision",
    "Rule",
    "Subject",
    "Verdict",
    "Waiting",
    "decode_subject",
    "encode_subject",
    "instant",
    "known_of",
    "micros",
    "question_of",
]

"""What the join remembers of one subject, as plain immutable data.

Instants are whole microseconds since 1970 in UTC (`Micros`): exact, small, and quick to compare.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from upshot.schemas.ids import fact_id
from upshot.schemas.scores import Reason
from upshot.schemas.waits import Mode
from upshot.schemas.waits import Rule as RuleSchema
from upshot.streams.arrivals import LONGEST_OF_MANY, Asking, Observation
from upshot.streams.instants import Micros

_NULL, _NO_EXPOSURES, _NO_ATTRIBUTES = Raw(b"null"), Raw(b"[]"), Raw(b"{}")


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an outcome of one type says: a constant or a path, and under which condition."""

    score: bool | float | str | None = None
    when: str | None = None


class Rule(msgspec.Struct, frozen=True, array_like=True):
    """How outcomes become a score; see `upshot.schemas.waits.Rule`."""

    on: dict[str, Match]
    nothing_came: bool | float | None = None
    mode: Mode = "first"

    @property
    def json(self) -> Raw:
        """What a question keeps of it."""
        return Raw(_encoder.encode(self))


class Question(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait, as the join keeps it. Outcomes count from `since` to `deadline`, both included.

    What the join only hands on stays as JSON, and so does the rule: many questions share it, and it's read once.
    """

    wait_id: str
    run_id: str
    name: str
    opened_at: Micros
    since: Micros
    deadline: Micros
    rule_json: Raw
    step_id: str | None = None
    agent: str | None = None
    exposures: Raw = _NO_EXPOSURES
    attributes: Raw = _NO_ATTRIBUTES
    #: The follow-up that is told, instead of a score.
    reply_to: str | None = None

    @property
    def rule(self) -> Rule:
        """How outcomes become the score."""
        text = bytes(self.rule_json)
        return _rule_behind(text) if len(text) <= LONGEST_OF_MANY else _large_rule_behind(text)

    @property
    def rank(self) -> tuple[Micros, bytes]:
        """Of two waits with one id the lesser counts: what was asked again can't move the window."""
        return self.opened_at, msgspec.json.encode(_plain(msgspec.json.encode(self)), order="sorted")


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An outcome that is kept: what it says, when it arrived and where it lies in Kafka."""

    id: str
    type: str
    time: Micros
    arrived: Micros
    partition: int
    offset: int
    source: str = ""
    data_json: Raw = _NULL
    #: Tells the topic that it lies in from those of its name before it.
    made: str = ""

    @property
    def data(self) -> Any:
        """The facts about it."""
        return _plain(self.data_json)

    @property
    def key(self) -> str:
        """What makes two deliveries the same outcome."""
        return f"{self.source}\n{self.id}"

    @property
    def rank(self) -> tuple[Micros, bytes]:
        """Of two deliveries of one outcome the lesser counts: what was sent again can't move it to later."""
        return self.time, msgspec.json.encode((self.type, self.data), order="sorted")

    @property
    def fingerprint(self) -> str:
        """What makes two outcomes say the same: not alone who sent which, but all that it says."""
        return fact_id("outcome", self.key, str(self.time), self.rank[1].decode())


class Verdict(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a question's answer is, given all that is known. `at` is event time.

    Of a follow-up's question `outcome_id` is the outcome's fingerprint: it's told what the outcome says.
    """

    value: bool | float | None
    reason: Reason
    at: Micros
    outcome_id: str | None = None


class Revision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A verdict as it was announced: numbered from 1, with our own time of deciding."""

    number: int
    verdict: Verdict
    decided_at: Micros
    late: bool = False


class Waiting(msgspec.Struct, frozen=True, array_like=True):
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
        revisions = self.revisions
        return self.judged_at is None and (not revisions or revisions[-1].verdict.reason == "reopened")


class Subject(msgspec.Struct, frozen=True, array_like=True):
    """All that is remembered of one subject: outcomes by key, questions by wait id."""

    outcomes: dict[str, Known] = {}
    waits: dict[str, Waiting] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.outcomes and not self.waits


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Subject)
_rules = msgspec.json.Decoder(Rule)
_plain = msgspec.json.Decoder().decode


def encode_subject(subject: Subject) -> bytes | None:
    """The table's value for a subject; None (a deletion) where nothing is left."""
    return _encoder.encode(subject) if subject.waits or subject.outcomes else None


def decode_subject(value: bytes | None) -> Subject:
    """The subject behind a table's value; an empty one where there is none."""
    return Subject() if value is None else _decoder.decode(value)


def question_of(wait: Asking) -> Question:
    """A wait as the join keeps it."""
    return Question(
        wait.wait_id,
        wait.run_id,
        wait.name,
        wait.opened_at,
        wait.since,
        wait.deadline,
        _kept(wait.rule.json) if len(wait.rule.json) <= LONGEST_OF_MANY else _keep(wait.rule.json),
        wait.step_id,
        wait.agent,
        wait.exposures,
        wait.attributes,
        wait.reply_to,
    )


def known_of(outcome: Observation, arrived: Micros, partition: int, offset: int, made: str = "") -> Known:
    """An outcome as the join keeps it."""
    return Known(
        outcome.id,
        outcome.type,
        outcome.time,
        arrived,
        partition,
        offset,
        outcome.source,
        outcome.data,
        made,
    )


def _keep(rule_json: bytes) -> Raw:
    """The rule of a wait as questions keep it."""
    rule = RuleSchema.model_validate_json(rule_json)
    on = {kind: Match(match.score, match.when) for kind, match in rule.on.items()}
    return Rule(on, rule.nothing_came, rule.mode).json


_kept = lru_cache(maxsize=4096)(_keep)
_rule_behind = lru_cache(maxsize=4096)(_rules.decode)
_large_rule_behind = lru_cache(maxsize=16)(_rules.decode)


__all__ = [
    "Known",
    "Match",
    "Question",
    "Revision",
    "Rule",
    "Subject",
    "Verdict",
    "Waiting",
    "decode_subject",
    "encode_subject",
    "known_of",
    "question_of",
]

"""The join's memory of one subject, as plain immutable data.

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
from upshot.streams.events.decode import LONGEST_OF_MANY
from upshot.streams.events.decoded import DecodedOutcome, DecodedWait, Preceding
from upshot.streams.events.instants import Micros

#: The default of the setting `since_tolerance`.
TOLERANCE: Micros = 500_000
_NULL, _NO_EXPOSURES, _NO_ATTRIBUTES = Raw(b"null"), Raw(b"[]"), Raw(b"{}")


class StoredMatch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The reading of outcomes of one type: a constant or a path, its condition, and its factor."""

    score: bool | float | str | None = None
    when: str | None = None
    times: float | None = None


class StoredRule(msgspec.Struct, frozen=True, array_like=True):
    """How outcomes become a score; see `upshot.schemas.waits.Rule`."""

    on: dict[str, StoredMatch]
    nothing_came: bool | float | None = None
    mode: Mode = "first"

    @property
    def json(self) -> Raw:
        """The rule as stored in a wait. A match without a factor looks as in versions without factors."""
        on = {kind: (m.score, m.when) if m.times is None else m for kind, m in self.on.items()}
        return Raw(_encoder.encode((on, self.nothing_came, self.mode)))


class StoredWait(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait, as the join keeps waits.

    Outcomes count whose time meets the window from `since` - `tolerance` to `ends`. Fields that the join only
    hands on stay as JSON, and so does the rule: many waits share a rule, and each rule is read once.
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
    #: The follow-up to be answered, instead of a score.
    reply_to: str | None = None
    #: None for a wait from a version without tolerance and widths: the wait is answered by that version's
    #: rules.
    tolerance: Micros | None = None
    #: The span covered by `opened_at`, and so by `deadline`, beyond the instant itself, as written.
    width: Micros = 0
    #: Whether the wait itself states its tolerance, not the setting.
    says_tolerance: bool = False
    #: Of two waits with one id the higher counts.
    revision: int = 0
    #: The events received before.
    after: tuple[Preceding, ...] = ()

    @property
    def ends(self) -> Micros:
        """The last instant of the wait's window."""
        return self.deadline + self.width

    @property
    def rule(self) -> StoredRule:
        """How outcomes become the score."""
        text = bytes(self.rule_json)
        return _rule_behind(text) if len(text) <= LONGEST_OF_MANY else _large_rule_behind(text)

    @property
    def rank(self) -> tuple[Micros, bytes, Micros, Micros]:
        """Of two waits with one id the lesser counts: a wait opened again can't move the window.

        A tolerance from the setting doesn't decide: the tolerance kept first stays.
        """
        stated_text = msgspec.structs.replace(self, tolerance=None, width=0, says_tolerance=False)
        content = msgspec.json.encode(_plain(msgspec.json.encode(stated_text)), order="sorted")
        stated = self.tolerance if self.says_tolerance and self.tolerance is not None else -1
        return self.opened_at, content, stated, self.width

    def outranks(self, other: StoredWait) -> bool:
        """Of two waits with one id the higher revision counts, then the lesser rank."""
        if self.revision != other.revision:
            return self.revision > other.revision
        return self.rank <= other.rank

    def is_the_same(self, other: StoredWait) -> bool:
        """Whether both waits are equal, but for the revision."""
        return self == msgspec.structs.replace(other, revision=self.revision)


#: A total order of outcomes: by the first microsecond covered by their time; outcomes of one such instant by
#: their sequence (none, then numbers, then texts), then by the least timestamp of their records, then by id
#: and source.
Order = tuple[Micros, tuple[int, int | str], int, str, str]
_NO_SEQUENCE: tuple[int, int | str] = (0, 0)


def in_sequence(sequence: int | str | None) -> tuple[int, int | str]:
    """Where an event stands among the events of one time."""
    if sequence is None:
        return _NO_SEQUENCE
    return (1, sequence) if type(sequence) is int else (2, sequence)


class StoredOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A kept outcome: its content, when the outcome arrived and its place in Kafka."""

    id: str
    type: str
    time: Micros
    arrived: Micros
    partition: int
    offset: int
    source: str = ""
    data_json: Raw = _NULL
    #: The span covered by its time beyond the instant itself, as written.
    width: Micros = 0
    #: Its place among the events of one time, where its source states the place.
    sequence: int | str | None = None
    #: The least timestamp of the outcome's records, in milliseconds since 1970; 0 where the outcome was kept
    #: by a version without the field.
    recorded: int = 0
    #: Tells the topic that it lies in from those of its name before it.
    made: str = ""

    @property
    def data(self) -> Any:
        """The facts about the outcome."""
        return _plain(self.data_json)

    @property
    def key(self) -> str:
        """Two deliveries with equal key are the same outcome."""
        return f"{self.source}\n{self.id}"

    @property
    def rank(self) -> tuple[Micros, bytes, Micros, tuple[int, int | str]]:
        """Of two deliveries of one outcome the lesser counts: no repetition moves the outcome to later."""
        content = msgspec.json.encode((self.type, self.data), order="sorted")
        return self.time, content, self.width, self._in_sequence

    @property
    def order(self) -> Order:
        """The outcome's place among the outcomes of its subject; see `Order`."""
        return self.time, self._in_sequence, self.recorded, self.id, self.source

    @property
    def _in_sequence(self) -> tuple[int, int | str]:
        return in_sequence(self.sequence)

    def follows(self, preceding: Preceding) -> bool:
        """Whether the outcome comes after an earlier event, or has a type not listened to then."""
        if self.type not in preceding.types:
            return True
        if (self.id, self.source) == (preceding.id, preceding.source):
            return False
        before = (
            preceding.time,
            in_sequence(preceding.sequence),
            preceding.recorded,
            preceding.id,
            preceding.source,
        )
        return self.order > before

    def with_earlier_record(self, recorded: int) -> StoredOutcome:
        """The same outcome, with a further record of this timestamp."""
        return self if self.recorded <= recorded else msgspec.structs.replace(self, recorded=recorded)

    @property
    def fingerprint(self) -> str:
        """Two outcomes with equal fingerprint say the same: same source and id, same content, same place."""
        stated_text = (self.key, str(self.time), self.rank[1].decode())
        if not self.recorded:
            return fact_id("outcome", *stated_text)
        return fact_id("outcome", *stated_text, str(self.width), repr(self.sequence), str(self.recorded))


class Verdict(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The answer of a wait, given all known outcomes. `at` is event time.

    For a follow-up's wait `outcome_id` is the outcome's fingerprint: the follow-up receives the outcome's
    content.
    """

    value: bool | float | None
    reason: Reason
    at: Micros
    outcome_id: str | None = None


class Revision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A verdict as announced: numbered from 1, with the worker's own time of deciding."""

    number: int
    verdict: Verdict
    decided_at: Micros
    late: bool = False


class Cancellation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait isn't needed any more since `at`; opened with a higher revision the wait is needed again."""

    at: Micros
    revision: int = 0

    def outranks(self, other: Cancellation | None) -> bool:
        """Of two cancellations the higher revision counts, then the earlier."""
        return other is None or (-self.revision, self.at) < (-other.revision, other.at)


def ended_by(cancellation: Cancellation | None, wait: StoredWait) -> Micros | None:
    """When a wait ended by cancellation; None where not cancelled, or only after its window."""
    if cancellation is None or cancellation.revision < wait.revision:
        return None
    if wait.reply_to is None and cancellation.at > wait.ends:
        return None
    return cancellation.at


class WaitState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait and the history of its answers. `judged_at` is set once its deadline was evaluated."""

    wait: StoredWait
    arrived: Micros
    judged_at: Micros | None = None
    revisions: tuple[Revision, ...] = ()
    cancellation: Cancellation | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The answer announced last; None before the first."""
        return self.revisions[-1].verdict if self.revisions else None

    @property
    def cancelled_at(self) -> Micros | None:
        """When the wait ended by cancellation; None where not cancelled, or only after its window."""
        return None if self.cancellation is None else ended_by(self.cancellation, self.wait)

    @property
    def is_open(self) -> bool:
        """Whether the wait's deadline is still to be evaluated."""
        revisions = self.revisions
        if self.judged_at is not None or (revisions and revisions[-1].verdict.reason != "reopened"):
            return False
        return self.cancellation is None or self.cancelled_at is None


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The memory of something absent: a cancellation before its wait, or since when something was erased."""

    arrived: Micros
    cancellation: Cancellation | None = None
    erased_at: Micros = 0


class Subject(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The join's memory of one subject: outcomes by key, waits by wait id, marks by their names."""

    outcomes: dict[str, StoredOutcome] = {}
    waits: dict[str, WaitState] = {}
    marks: dict[str, Mark] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.outcomes and not self.waits and not self.marks


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Subject)
_rules = msgspec.json.Decoder(StoredRule)
_plain = msgspec.json.Decoder().decode


def encode_subject(subject: Subject) -> bytes | None:
    """The table's value for a subject; None (a deletion) where nothing is left."""
    return None if subject.is_empty else _encoder.encode(subject)


def decode_subject(value: bytes | None) -> Subject:
    """The subject behind a table's value; an empty subject for no value."""
    return Subject() if value is None else _decoder.decode(value)


def as_stored_wait(wait: DecodedWait, tolerance: Micros = TOLERANCE) -> StoredWait:
    """A wait as the join keeps waits; with this tolerance, where the wait states none itself."""
    stated = wait.tolerance
    # By position, for speed: see `streams.events.decode`.
    return StoredWait(
        wait.wait_id,
        wait.run_id,
        wait.name,
        wait.opened_at,
        wait.since,
        wait.deadline,
        _cached(wait.rule.json) if len(wait.rule.json) <= LONGEST_OF_MANY else _keep(wait.rule.json),
        wait.step_id,
        wait.agent,
        wait.exposures,
        wait.attributes,
        wait.reply_to,
        tolerance if stated is None else stated,
        wait.width,
        stated is not None,
        wait.revision,
        wait.after,
    )


def as_stored_outcome(
    outcome: DecodedOutcome, arrived: Micros, partition: int, offset: int, made: str = ""
) -> StoredOutcome:
    """An outcome as the join keeps it."""
    # By position, for speed: see `streams.events.decode`.
    return StoredOutcome(
        outcome.id,
        outcome.type,
        outcome.time,
        arrived,
        partition,
        offset,
        outcome.source,
        outcome.data,
        outcome.width,
        outcome.sequence,
        outcome.recorded,
        made,
    )


def _keep(rule_json: bytes) -> Raw:
    """The rule of a wait as stored waits have it."""
    rule = RuleSchema.model_validate_json(rule_json)
    on = {kind: StoredMatch(match.score, match.when, match.times) for kind, match in rule.on.items()}
    return StoredRule(on, rule.nothing_came, rule.mode).json


_cached = lru_cache(maxsize=4096)(_keep)
_rule_behind = lru_cache(maxsize=4096)(_rules.decode)
_large_rule_behind = lru_cache(maxsize=16)(_rules.decode)


__all__ = [
    "TOLERANCE",
    "Cancellation",
    "Mark",
    "Order",
    "Revision",
    "StoredMatch",
    "StoredOutcome",
    "StoredRule",
    "StoredWait",
    "Subject",
    "Verdict",
    "WaitState",
    "as_stored_outcome",
    "as_stored_wait",
    "decode_subject",
    "encode_subject",
    "ended_by",
    "in_sequence",
]

"""Bytes to events: every record becomes either a valid event or a reason for refusal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from upshot.errors import InvalidEvent
from upshot.schemas.deferrals import Deferral
from upshot.schemas.fields import EARLIEST, LATEST
from upshot.schemas.outcomes import Outcome
from upshot.schemas.scores import Score
from upshot.schemas.waits import Wait
from upshot.schemas.withdrawals import Erasure, WaitCancellation, withdrawal_at
from upshot.schemas.wording import place_in
from upshot.streams.events.parsing import parse
from upshot.streams.events.topics import MAX_EVENT_BYTES, MAX_SCORE_BYTES

#: How far ahead of its record's timestamp an event may claim to be.
CLOCK_TOLERANCE = timedelta(days=1)

#: Characters of a topic's id that are part of a place: 48 bits tell the topics of one name apart.
MADE_LENGTH = 8

#: Carries the original place (`topic/partition/offset[/made]`) of a record that was forwarded to its
#: partition.
FORWARDED_FROM = "upshot-forwarded-from"

#: Digits that a partition and an offset can have.
_PARTITION_DIGITS, _OFFSET_DIGITS = 9, 18

_ERROR_REASONS = {
    "absurd_time": "absurd_time",
    "unknown_version": "unknown_version",
    "not_finite": "not_finite",
    "finite_number": "not_finite",
    "missing": "missing_field",
}

E = TypeVar("E", bound=BaseModel)


class Record(Protocol):
    """The parts of a Kafka record read by the codec (aiokafka's ConsumerRecord has them all)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Place(NamedTuple):
    """Where a record was first written. `made` tells the topic from earlier topics of its name, see
    `incarnations`.
    """

    topic: str
    partition: int
    offset: int
    made: str = ""

    def __str__(self) -> str:
        return self._joined("/")

    @property
    def ident(self) -> str:
        """An id made of the place, for events stating none."""
        return self._joined("-")

    def _joined(self, by: str) -> str:
        plain = f"{self.topic}{by}{self.partition}{by}{self.offset}"
        return f"{plain}{by}{self.made}" if self.made else plain


def place_of(record: Record) -> Place:
    """Where the record was first written, before any forwarding.

    Anyone may write the header: a header naming no place of the record's own topic counts as absent.
    """
    for name, value in record.headers:
        if name == FORWARDED_FROM and (
            place := _forwarded_place(record.topic, value.decode("utf-8", "replace"))
        ):
            return place
    return Place(record.topic, record.partition, record.offset, made_of(record))


def made_of(record: Record) -> str:
    """The mark telling the record's topic from earlier topics of its name; only records of a worker's own
    inputs have the mark.
    """
    made: str = getattr(record, "made", "")
    return made


def _forwarded_place(topic: str, text: str) -> Place | None:
    """The place in `topic` named by the text: `topic/partition/offset[/made]`."""
    if not text.startswith(f"{topic}/"):
        return None
    match text[len(topic) + 1 :].split("/", 3):
        case [partition, offset, *made] if (
            _is_number(partition, _PARTITION_DIGITS)
            and _is_number(offset, _OFFSET_DIGITS)
            and len(made) < 2
            and all(map(_is_made, made))
        ):
            return Place(topic, int(partition), int(offset), *made)
    return None


def _is_number(text: str, digits: int) -> bool:
    """Whether the text has digits alone, without a sign: at least 1, and `digits` at the most."""
    return len(text) <= digits and text.isascii() and text.isdigit()


def _is_made(text: str) -> bool:
    """Whether the text can be the beginning of a topic's id."""
    return len(text) == MADE_LENGTH and text.isascii() and text.replace("-", "0").replace("_", "0").isalnum()


def recorded_at(record: Record) -> datetime:
    """The record's own timestamp; the contract's earliest instant where the record has none or a bogus
    timestamp.
    """
    try:
        stamp = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return EARLIEST
    return min(max(stamp, EARLIEST), LATEST - timedelta(days=1))


def decode(model: type[E], record: Record, largest: int = MAX_EVENT_BYTES) -> E:
    """The record's value, of `largest` bytes at the most, as an event of `model`. Raises InvalidEvent: to be
    dead-lettered.
    """
    return validate(model, parse(record.value, largest))


def decode_wait(record: Record) -> Wait | WaitCancellation | Erasure:
    """The contents of a record of topic `waits`; a wait with its id and opening time filled in. Raises
    InvalidEvent.
    """
    return decode_withdrawal(record) or decode_opened(record)


def decode_withdrawal(record: Record) -> WaitCancellation | Erasure | None:
    """A withdrawal of waits; None for any other record. Raises InvalidEvent."""
    event = parse(record.value)
    withdrawn: WaitCancellation | Erasure
    if not isinstance(event, dict):
        return None
    if event.get("cancelled_at") is not None:
        withdrawn = validate(WaitCancellation, event)
    elif event.get("erased_at") is not None:
        withdrawn = validate(Erasure, event)
    else:
        return None
    _refuse_future(*withdrawal_at(withdrawn), record, recorded_at(record))
    return withdrawn


def decode_opened(record: Record) -> Wait:
    """A wait with its id and opening time filled in. Raises InvalidEvent."""
    recorded = recorded_at(record)
    wait = decode(Wait, record).identified(recorded)
    _refuse_future("opened_at", wait.opened_at, record, recorded)
    return wait


def decode_deferral(record: Record) -> Deferral:
    """A deferral with its id and its times filled in. Raises InvalidEvent."""
    recorded = recorded_at(record)
    deferral = decode(Deferral, record).identified(recorded)
    _refuse_future("deferred_at", deferral.deferred_at, record, recorded)
    _refuse_future("cancelled_at", deferral.cancelled_at, record, recorded)
    return deferral


def decode_score(record: Record) -> Score:
    """A score with its decision time filled in. Raises InvalidEvent."""
    score = decode(Score, record, MAX_SCORE_BYTES)
    return score if score.decided_at else score.model_copy(update={"decided_at": recorded_at(record)})


def decode_outcome(record: Record) -> Outcome:
    """A CloudEvent in structured or binary mode, or the least form; id and time filled in. Raises
    InvalidEvent.
    """
    return outcome_of(outcome_event(record), record)


def outcome_event(record: Record) -> Any:
    """The contents of a record of outcomes, in structured or binary mode, not validated.

    Raises InvalidEvent.
    """
    attributes = {name.lower(): value for name, value in record.headers}
    if "ce_type" in attributes or "ce_specversion" in attributes:
        return _binary_mode(attributes, record.value)
    return parse(record.value)


def outcome_of(event: Any, record: Record) -> Outcome:
    """The record's contents as an outcome, id and time filled in. Raises InvalidEvent."""
    if isinstance(event, dict) and not event.get("subject"):
        raise InvalidEvent(
            "no_subject", "an outcome needs a subject: what it happened to, such as pr:acme/web#12"
        )
    outcome = validate(Outcome, event)
    recorded = recorded_at(record)
    outcome = outcome.model_copy(
        update={
            "id": outcome.id or place_of(record).ident,
            "time": outcome.time or recorded,
        }
    )
    _refuse_future("time", outcome.time, record, recorded)
    return outcome


def _binary_mode(headers: dict[str, bytes], value: bytes | None) -> dict[str, Any]:
    event: dict[str, Any] = {
        name[3:]: content.decode("utf-8", "replace")
        for name, content in headers.items()
        if name.startswith("ce_")
    }
    content_type = headers.get("content-type", b"application/json").decode("utf-8", "replace").lower()
    if not value:
        event["data"] = None
    elif "json" in content_type:
        event["data"] = parse(value)
    else:
        event["data"] = value.decode("utf-8", "replace")
    return event


def validate(model: type[E], event: Any) -> E:
    """Parsed JSON as an event of `model`. Raises InvalidEvent."""
    if not isinstance(event, dict):
        raise InvalidEvent("not_an_object", f"an event is a JSON object, this is {type(event).__name__}")
    try:
        return model.model_validate(event)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> InvalidEvent:
    first = error.errors(include_url=False, include_input=False)[0]
    where = place_in(first) or "the event"
    reason = "unknown_version" if first["loc"] == ("specversion",) else _ERROR_REASONS.get(first["type"])
    if reason is None:
        in_rule = bool(first["loc"]) and first["loc"][0] == "rule"
        wrong_type = first["type"].endswith("_type") or first["type"].startswith("not_")
        reason = "invalid_rule" if in_rule else "wrong_type" if wrong_type else "invalid_value"
    return InvalidEvent(reason, f"{where}: {first['msg']}")


def _refuse_future(field: str, instant: datetime | None, record: Record, recorded: datetime) -> None:
    if instant is not None and record.timestamp > 0 and instant > recorded + CLOCK_TOLERANCE:
        raise InvalidEvent(
            "absurd_time", f"{field}: {instant.isoformat()} lies over a day after the record was written"
        )


__all__ = [
    "FORWARDED_FROM",
    "MADE_LENGTH",
    "Place",
    "Record",
    "decode",
    "decode_deferral",
    "decode_opened",
    "decode_outcome",
    "decode_score",
    "decode_wait",
    "decode_withdrawal",
    "made_of",
    "outcome_event",
    "outcome_of",
    "place_of",
    "recorded_at",
    "validate",
]

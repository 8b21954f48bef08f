"""Events, read fast: typed as the schemas say, by a decoder accepting only surely valid events.

Events refused here (`NeedsSchema`) are left to the schema, which alone decides about validity and reasons. So
these types may refuse events accepted by a schema, and never the other way round; tests compare each field,
its default, and the results for random input with the schema.

Instants are still text here, and datetimes in the schema's models: `moment` reads both.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from upshot.schemas.dead_letters import Reason as Refusal
from upshot.schemas.deferrals import deferral_id
from upshot.schemas.exposures import exposure_id
from upshot.schemas.fields import EARLIEST, LATEST
from upshot.schemas.followups import Standing
from upshot.schemas.runs import Origin, RunStatus
from upshot.schemas.scores import Reason, given_score_id
from upshot.schemas.steps import CostSource, StepStatus
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, recorded_at

Q = TypeVar("Q", bound="FastEvent")

Id = Annotated[str, Meta(min_length=1, max_length=512)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=1_000_000)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(gt=0, le=1)]
Value = bool | int | float
#: RFC 3339, not looked at yet.
Instant = str
Attributes = dict[Name, Any]

_EARLIEST, _LATEST = micros(EARLIEST), micros(LATEST)
_DAY = 86_400_000_000


class NeedsSchema(Exception):
    """Not surely valid: the schema has to look at the event."""


class FastEvent(Struct, gc=False, kw_only=True):
    """See `upshot.schemas.fields.Event`. Unknown fields are ignored."""

    schema_version: Literal[1] = 1


class FastAssignment(Struct, gc=False, kw_only=True):
    """See `upshot.schemas.exposures.Assignment`."""

    experiment: Name
    variant: Name
    phase: Name = "1"
    probability: Probability = 1.0


class FastRun(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.runs.Run`."""

    run_id: Id
    agent: Name | None = None
    version: Name | None = None
    status: RunStatus | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    occurred_at: Instant | None = None
    session_id: Id | None = None
    parent_run_id: Id | None = None
    origin: Origin | UnsetType = UNSET
    error: Text | None = None
    input: Text | None = None
    output: Text | None = None
    attributes: Attributes = {}

    @property
    def stated_origin(self) -> Origin | None:
        """The origin, if the event states one."""
        return None if self.origin is UNSET else self.origin


class FastStep(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.steps.Step`."""

    run_id: Id
    step_id: Id
    parent_step_id: Id | None = None
    name: Name
    kind: Name = "function"
    status: StepStatus = "ok"
    attempt: Count = 1
    started_at: Instant | None = None
    ended_at: Instant | None = None
    operation: Name | None = None
    provider: Name | None = None
    model: Name | None = None
    request_model: Name | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    reasoning_output_tokens: Count | None = None
    first_chunk_seconds: Positive | None = None
    finish_reasons: list[Name] = []
    tool_name: Name | None = None
    tool_call_id: Name | None = None
    prompt_name: Name | None = None
    prompt_version: Name | None = None
    cost_usd: Positive | None = None
    cost_source: CostSource | None = None
    response_id: Id | None = None
    error: Text | None = None
    error_type: Name | None = None
    input: Text | None = None
    output: Text | None = None
    attributes: Attributes = {}


class FastScore(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.scores.Score`."""

    score_id: Id | None = None
    run_id: Id
    step_id: Id | None = None
    name: Name
    value: Value | None = None
    key: Id | None = None
    revision: Count = 1
    supersedes: Count | None = None
    reason: Reason = "given"
    late: bool = False
    subject: Id | None = None
    wait_id: Id | None = None
    outcome_id: Id | None = None
    occurred_at: Instant | None = None
    decided_at: Instant | None = None
    agent: Name | None = None
    source: Name | None = None
    comment: Text | None = None
    exposures: list[FastAssignment] = []
    attributes: Attributes = {}

    @property
    def identity(self) -> str:
        """The id shared by all revisions."""
        return self.score_id or given_score_id(self.run_id, self.step_id, self.name, self.key)


class FastExposure(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.exposures.Exposure`."""

    exposure_id: Id | None = None
    run_id: Id
    experiment: Name
    variant: Name
    phase: Name = "1"
    probability: Probability = 1.0
    unit: Id | None = None
    strategy: Name = "fixed"
    exposed_at: Instant | None = None

    @property
    def identity(self) -> str:
        """The id of this exposure."""
        return self.exposure_id or exposure_id(self.run_id, self.experiment)


class FastDeferral(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.deferrals.Deferral`."""

    followup_id: Id | None = None
    run_id: Id
    step_id: Id | None = None
    scorer: Name
    version: Name = "1"
    data: Any = None
    deferred_at: Instant | None = None
    since: Instant | None = None
    key: Id | None = None
    deferred_by: Id | None = None
    revision: Count = 0
    cancelled_at: Instant | None = None
    agent: Name | None = None
    exposures: list[FastAssignment] = []
    attributes: Attributes = {}

    @property
    def identity(self) -> str:
        """The id of this follow-up."""
        made = deferral_id(self.run_id, self.step_id, self.scorer, self.version, self.key)
        return self.followup_id or made


class FastAwaited(Struct, gc=False, kw_only=True):
    """See `upshot.schemas.followups.Awaited`."""

    subject: Id | None = None
    types: list[Name] = []
    deadline: Instant


class FastFollowup(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.followups.FollowupStatus`."""

    followup_id: Id
    run_id: Id
    step_id: Id | None = None
    scorer: Name
    version: Name = "1"
    agent: Name | None = None
    status: Standing
    attempts: Count = 0
    error: Text | None = None
    waiting_for: list[FastAwaited] = []
    deferred_at: Instant
    changed_at: Instant
    revision: Count = 1


class FastAlert(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.alerts.Alert`."""

    alert_id: Id
    name: Name
    run_id: Id
    score_id: Id
    revision: Count = 1
    value: Value
    message: Text = ""
    raised_at: Instant


class FastDeadLetter(FastEvent, kw_only=True, gc=False):
    """See `upshot.schemas.dead_letters.DeadLetter`."""

    dead_letter_id: Id
    reason: Refusal
    detail: Text
    topic: Id
    partition: Count
    offset: Count
    key: str | None = None
    value: str | None = None
    headers: list[tuple[str, str]] = []
    recorded_at: Instant


def fast(kind: type[Q], event: Any) -> Q:
    """Parsed JSON as an event. Raises Unsure."""
    try:
        return msgspec.convert(event, kind)
    except msgspec.ValidationError:
        raise NeedsSchema from None


def moment(instant: str | datetime) -> Micros:
    """An event's instant. Raises NeedsSchema for text the schema may read otherwise, or refuse."""
    if isinstance(instant, datetime):
        return micros(instant)
    if instant[19:20] == "." and instant[-1] == "Z":
        digits = instant[20:-1]
        if digits.isdecimal() and digits.isascii() and len(digits) <= 6:
            return _whole_second(instant[:19]) + int(digits) * _OF_A_SECOND[len(digits)]
    return _any_moment(instant)


#: Microseconds of the last digit, by the number of digits.
_OF_A_SECOND = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)


@lru_cache(maxsize=4096)
def _whole_second(text: str) -> Micros:
    """`2026-05-04T10:00:00` in UTC: under load, many events share a second."""
    return _any_moment(f"{text}Z")


def _any_moment(instant: str) -> Micros:
    # What is finer than a microsecond is rounded here and cut there.
    if len(instant) > 27 and (instant[-3] != ":" or len(instant) > 32):
        raise NeedsSchema
    try:
        found = msgspec.convert(instant, datetime)
    except msgspec.ValidationError:
        raise NeedsSchema from None
    if found.tzinfo is None:
        raise NeedsSchema
    at = micros(found)
    if not _EARLIEST <= at < _LATEST:
        raise NeedsSchema
    return at


def moment_or_none(instant: str | datetime | None) -> Micros | None:
    """The same for an instant possibly absent."""
    return None if instant is None else moment(instant)


def recorded_moment(record: Record) -> Micros:
    """The record's own timestamp, as `recorded_at` has it."""
    at = record.timestamp * 1000
    return at if _EARLIEST <= at < _LATEST - _DAY else micros(recorded_at(record))


__all__ = [
    "FastAlert",
    "FastAssignment",
    "FastAwaited",
    "FastDeadLetter",
    "FastDeferral",
    "FastEvent",
    "FastExposure",
    "FastFollowup",
    "FastRun",
    "FastScore",
    "FastStep",
    "Id",
    "Name",
    "NeedsSchema",
    "fast",
    "moment",
    "moment_or_none",
    "recorded_moment",
]

"""Events to rows: pure. One record is one row of one table, or a named reason for no row.

Rows may come in any order: `row_version` decides between two rows of one key, and its low bits are a hash of
the whole row, so that equal versions are equal rows. Runs have no version: each of their fields is a register
of its own, with the time of its statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from upshot.errors import InvalidEvent
from upshot.otel.prices import Prices, unpriced
from upshot.otel.steps import INSTRUMENTATION
from upshot.processors.store.alert_rows import alert_row, alert_rule_row, removed_rule_row
from upshot.processors.store.dead_letter_rows import dead_letter_row, letter_row
from upshot.processors.store.deferred_rows import cancellation_row, deferral_row, followup_row
from upshot.processors.store.experiment_rows import experiment_row
from upshot.processors.store.notice_rows import notice_row
from upshot.processors.store.packed import (
    Row,
    earlier_wins,
    higher_wins,
    later_wins,
    pack,
    pack_version,
)
from upshot.processors.store.pricing import cost_of
from upshot.processors.store.results import NothingToStore, RefusedRow, Result, Skipped
from upshot.processors.store.score_rows import score_row
from upshot.processors.store.values import assignments, text_of, texts
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.schemas.dead_letters import DeadLetter
from upshot.schemas.deferrals import Deferral
from upshot.schemas.experiments import Experiment
from upshot.schemas.exposures import Exposure
from upshot.schemas.followups import FollowupStatus
from upshot.schemas.notices import Notice
from upshot.schemas.runs import Run
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step
from upshot.streams.events.decode import read_outcome, read_wait
from upshot.streams.events.fast import (
    NeedsSchema,
    fast,
    fast_assignments,
    fast_struct,
    moment_or_none,
    recorded_moment,
)
from upshot.streams.events.instants import Micros
from upshot.streams.events.parsing import parse
from upshot.streams.events.records import Record, decode, place_of, validate
from upshot.streams.events.topics import MAX_DEAD_LETTER_BYTES, MAX_EVENT_BYTES, MAX_SCORE_BYTES
from upshot.streams.events.withdrawals import (
    Cancelling,
    is_tombstone,
    is_withdrawal,
    key_of,
    read_withdrawal,
)

_UNSTATED = (0, "")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

E = TypeVar("E", bound=BaseModel)


def row_of(topic: str, record: Record, prices: Prices = unpriced) -> Result:
    """The result of a record of `topic` (the name without the prefix).

    A step stating a model and tokens but no cost gets its cost from `prices`.
    """
    try:
        if is_tombstone(record):
            key = key_of(record)
            return removed_rule_row(key, record) if topic == "alert-rules" else NothingToStore()
        return _step_reader(prices)(record) if topic == "steps" else _READERS[topic](record)
    except InvalidEvent as error:
        refusal = error
    if topic in ("outcomes", "waits"):
        return Skipped(refusal)
    if topic == "dead-letters":
        return letter_row(record, refusal)
    return RefusedRow(refusal)


def _run(run: Run, record: Record) -> Row:
    recorded = recorded_moment(record)
    started, ended = moment_or_none(run.started_at), moment_or_none(run.ended_at)
    at = moment_or_none(run.occurred_at) or ended or started or recorded

    def stated(value: str | None) -> tuple[Micros, str]:
        return _UNSTATED if value is None else (at, value)

    values = (
        run.run_id,
        stated(run.agent),
        stated(run.version),
        (0, 0, "") if run.status is None else (int(run.status != "running"), at, run.status),
        (0, 0) if started is None else (at, started),
        (0, 0) if ended is None else (at, ended),
        stated(run.session_id),
        stated(run.parent_run_id),
        stated(run.stated_origin),
        stated(run.error),
        stated(run.input),
        stated(run.output),
        {name: (at, text_of(value)) for name, value in run.attributes.items()},
        recorded,
    )
    return pack("raw_runs", values)


@lru_cache(maxsize=8)
def _step_reader(prices: Prices) -> Callable[[Record], Row]:
    """The reader of steps with these prices: made once, not for each record."""
    return _either(Step, lambda step, record: _step(step, record, prices))


def _step(step: Step, record: Record, prices: Prices = unpriced) -> Row:
    recorded = recorded_moment(record)
    started, ended = moment_or_none(step.started_at), moment_or_none(step.ended_at)
    cost: tuple[float | None, str] = step.cost_usd, step.cost_source or ""
    if cost[0] is None and step.model and prices is not unpriced:
        cost = cost_of(step, started or ended or recorded, prices)
    instrumentation = step.attributes.get(INSTRUMENTATION)
    values = (
        step.run_id,
        step.step_id,
        step.attempt,
        step.parent_step_id,
        step.name,
        step.kind,
        step.status,
        started,
        ended,
        step.provider or "",
        step.model or "",
        step.input_tokens,
        step.output_tokens,
        step.cached_input_tokens,
        cost[0],
        step.error or "",
        step.input or "",
        step.output or "",
        texts(step.attributes),
        step.operation or "",
        step.request_model or "",
        step.cache_write_input_tokens,
        step.reasoning_output_tokens,
        step.first_chunk_seconds,
        step.finish_reasons,
        step.tool_name or "",
        step.tool_call_id or "",
        step.prompt_name or "",
        step.prompt_version or "",
        cost[1],
        step.error_type or "",
        step.response_id or "",
        instrumentation if isinstance(instrumentation, str) else "",
        recorded,
    )
    order = later_wins(ended or started or recorded, rank=int(step.status != "running"))
    return pack_version("raw_steps", values, order)


def _outcome(record: Record) -> Row:
    outcome = read_outcome(record)
    place = place_of(record)
    values = (
        outcome.subject,
        outcome.source,
        outcome.id,
        outcome.type,
        outcome.time,
        _encode(_decode(outcome.data)).decode(),
        place.topic,
        place.partition,
        place.offset,
        recorded_moment(record),
        outcome.width,
        "" if outcome.sequence is None else _encode(outcome.sequence).decode(),
    )
    return pack_version("raw_outcomes", values, earlier_wins(outcome.time))


def _exposure(exposure: Exposure, record: Record) -> Row:
    recorded = recorded_moment(record)
    exposed = moment_or_none(exposure.exposed_at) or recorded
    values = (
        exposure.run_id,
        exposure.identity,
        exposure.experiment,
        exposure.variant,
        exposure.phase,
        None if exposure.probability is None else float(exposure.probability),
        exposure.unit or exposure.run_id,
        exposure.strategy,
        exposed,
        recorded,
        exposure.weights_from or "",
    )
    return pack_version("raw_exposures", values, earlier_wins(exposed))


def _experiment(record: Record) -> Row:
    return experiment_row(decode(Experiment, record), record)


def _alert_rule(record: Record) -> Row:
    return alert_rule_row(decode(AlertRule, record), record)


def _wait(record: Record) -> Row | NothingToStore:
    if is_withdrawal(record) and (withdrawn := read_withdrawal(record, 0)) is not None:
        return cancellation_row(withdrawn, record) if isinstance(withdrawn, Cancelling) else NothingToStore()
    wait = read_wait(record)
    rule = wait.rule.rule
    values = (
        wait.subject,
        wait.wait_id,
        wait.run_id,
        wait.step_id,
        wait.name,
        wait.agent or "",
        rule.mode,
        sorted(rule.on),
        wait.rule.json.decode(),
        wait.opened_at,
        wait.since,
        wait.deadline,
        assignments(fast_assignments(wait.exposures)),
        texts(_decode(wait.attributes)),
        wait.reply_to or "",
        recorded_moment(record),
        wait.revision,
    )
    return pack_version("raw_waits", values, higher_wins(wait.revision, wait.opened_at))


def _either(
    model: type[E], make: Callable[[E, Record], Row], largest: int = MAX_EVENT_BYTES
) -> Callable[[Record], Row]:
    """The row of an event decoded fast; decoded by the schema, where fast decoding needs the schema."""
    fast_struct(model)  # a field unknown to fast decoding is found at import

    def read(record: Record) -> Row:
        event = parse(record.value, largest)
        try:
            return make(fast(model, event), record)
        except (NeedsSchema, OverflowError):
            return make(validate(model, event), record)

    return read


_READERS: Mapping[str, Callable[[Record], Row | NothingToStore]] = MappingProxyType(
    {
        "runs": _either(Run, _run),
        "steps": _either(Step, _step),
        "outcomes": _outcome,
        "exposures": _either(Exposure, _exposure),
        "waits": _wait,
        "scores": _either(Score, score_row, MAX_SCORE_BYTES),
        "deferrals": _either(Deferral, deferral_row),
        "followups": _either(FollowupStatus, followup_row),
        "alerts": _either(Alert, alert_row),
        "alert-rules": _alert_rule,
        "notices": _either(Notice, notice_row),
        "experiments": _experiment,
        "dead-letters": _either(DeadLetter, dead_letter_row, MAX_DEAD_LETTER_BYTES),
    }
)

#: The topics stored as tables.
STORED: tuple[str, ...] = tuple(_READERS)

__all__ = ["STORED", "NothingToStore", "RefusedRow", "Result", "Row", "Skipped", "letter_row", "row_of"]

"""Events to rows: pure. One record is one row of one table, or a named reason why it isn't.

Every row carries what makes it free of order: `row_version` decides between two rows of one key, and its
low bits are a hash of the whole row, so that equal versions are equal rows. Runs have no version: each of
their fields is a register of its own, with the time at which it was said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from upshot.errors import InvalidEvent
from upshot.processors.store.values import (
    Micros,
    Values,
    assignments,
    earlier_wins,
    kind_of,
    later_wins,
    micros,
    micros_or_none,
    number_of,
    text_of,
    texts,
)
from upshot.schemas.alerts import Alert
from upshot.schemas.dead_letters import DeadLetter
from upshot.schemas.exposures import Exposure
from upshot.schemas.ids import fact_id
from upshot.schemas.runs import Run
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step
from upshot.streams.codec import (
    Record,
    decode,
    decode_outcome,
    decode_score,
    decode_wait,
    place_of,
    recorded_at,
)

#: Given scores outrank decided ones: somebody corrects what a rule said.
_GIVEN = 1 << 255
#: The bits of a row version that are a hash of the row.
_TIE = (1 << 64) - 1
_REGISTERS = ("session_id", "parent_run_id", "origin", "error", "input", "output")


class Row(NamedTuple):
    """A row of `table`, its values in the order of `columns.COLUMNS`."""

    table: str
    values: Values


class Refused(NamedTuple):
    """The record is no valid event: to be dead-lettered by the store."""

    error: InvalidEvent


class Skipped(NamedTuple):
    """The record is no valid event, and the join dead-letters it."""

    error: InvalidEvent


Result = Row | Refused | Skipped


def row_of(topic: str, record: Record) -> Result:
    """What becomes of a record of `topic` (the name without the prefix)."""
    try:
        return _MAKERS[topic](record)
    except InvalidEvent as error:
        refusal = error
    except RecursionError:
        refusal = InvalidEvent("invalid_value", "nested too deeply to be stored: send it flat, or as text")
    if topic in ("outcomes", "waits"):
        return Skipped(refusal)
    if topic == "dead-letters":
        return _letter_about(record, refusal)
    return Refused(refusal)


def letter_row(record: Record, error: InvalidEvent) -> Row:
    """The row of a dead letter about `record` itself."""
    return _letter_about(record, error)


def _run(record: Record) -> Row:
    run = decode(Run, record)
    at = micros(run.occurred_at or run.ended_at or run.started_at or recorded_at(record))
    said = run.model_fields_set
    text = {
        name: (at, value) if name in said and (value := getattr(run, name)) is not None else (0, "")
        for name in ("agent", "version", *_REGISTERS)
    }
    values = (
        run.run_id,
        text["agent"],
        text["version"],
        (0, 0, "") if run.status is None else (int(run.status != "running"), at, run.status),
        (0, 0) if run.started_at is None else (at, micros(run.started_at)),
        (0, 0) if run.ended_at is None else (at, micros(run.ended_at)),
        *(text[name] for name in _REGISTERS),
        {name: (at, text_of(value)) for name, value in run.attributes.items()},
        micros(recorded_at(record)),
    )
    return Row("raw_runs", values)


def _step(record: Record) -> Row:
    step = decode(Step, record)
    at = step.ended_at or step.started_at or recorded_at(record)
    values = (
        step.run_id,
        step.step_id,
        step.attempt,
        step.parent_step_id,
        step.name,
        step.kind,
        step.status,
        micros_or_none(step.started_at),
        micros_or_none(step.ended_at),
        step.provider or "",
        step.model or "",
        step.input_tokens,
        step.output_tokens,
        step.cached_input_tokens,
        step.cost_usd,
        step.error or "",
        step.input or "",
        step.output or "",
        texts(step.attributes),
        micros(recorded_at(record)),
    )
    return _versioned("raw_steps", values, later_wins(micros(at), values, rank=int(step.status != "running")))


def _outcome(record: Record) -> Row:
    outcome = decode_outcome(record)
    recorded = recorded_at(record)
    place = place_of(record)
    time = micros(outcome.time or recorded)
    data = _json(outcome.data)
    values = (
        outcome.subject,
        outcome.source,
        outcome.id,
        outcome.type,
        time,
        data,
        place.topic,
        place.partition,
        place.offset,
        micros(recorded),
    )
    return _versioned("raw_outcomes", values, earlier_wins(time, values))


def _exposure(record: Record) -> Row:
    exposure = decode(Exposure, record)
    recorded = recorded_at(record)
    exposed = micros(exposure.exposed_at or recorded)
    values = (
        exposure.run_id,
        exposure.identity,
        exposure.experiment,
        exposure.variant,
        exposure.phase,
        float(exposure.probability),
        exposure.unit or exposure.run_id,
        exposure.strategy,
        exposed,
        micros(recorded),
    )
    return _versioned("raw_exposures", values, earlier_wins(exposed, values))


def _wait(record: Record) -> Row:
    wait = decode_wait(record)
    recorded = recorded_at(record)
    opened = wait.opened_at or recorded
    rule = wait.rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    values = (
        wait.subject,
        wait.wait_id,
        wait.run_id,
        wait.step_id,
        wait.name,
        wait.agent or "",
        wait.rule.mode,
        sorted(wait.rule.on),
        _json(rule),
        micros(opened),
        micros(wait.since or opened),
        micros(opened + wait.rule.within),
        assignments(wait.exposures),
        texts(wait.attributes),
        micros(recorded),
    )
    return _versioned("raw_waits", values, earlier_wins(micros(opened), values))


def _score(record: Record) -> Row:
    score = decode_score(record)
    recorded = recorded_at(record)
    decided = micros(score.decided_at or recorded)
    fact = _fact_of(score, decided)
    values = (
        score.identity,
        fact,
        score.run_id,
        score.step_id,
        score.name,
        number_of(score.value),
        kind_of(score.value),
        score.key or "",
        score.revision,
        score.supersedes,
        score.reason,
        score.late,
        score.subject or "",
        score.wait_id or "",
        score.outcome_id or "",
        micros_or_none(score.occurred_at),
        decided,
        score.agent or "",
        score.source or "",
        score.comment or "",
        assignments(score.exposures),
        texts(score.attributes),
        micros(recorded),
    )
    version = later_wins(decided, values)
    return Row("raw_scores", (*values, version, _precedence(score, decided, fact, tie=version & _TIE)))


def _fact_of(score: Score, decided: Micros) -> str:
    """A decided revision is its number; a given score is when it was given and what."""
    if score.reason != "given":
        return fact_id("revision", score.identity, str(score.revision))
    return fact_id(
        "given", score.identity, str(decided), f"{kind_of(score.value)} {number_of(score.value)!r}"
    )


def _precedence(score: Score, decided: Micros, fact: str, tie: int) -> int:
    if score.reason == "given":
        return _GIVEN | decided << 128 | int(fact[:16], 16) << 64 | tie
    return score.revision << 128 | decided << 64 | tie


def _alert(record: Record) -> Row:
    alert = decode(Alert, record)
    raised = micros(alert.raised_at)
    values = (
        alert.alert_id,
        alert.name,
        alert.run_id,
        alert.score_id,
        alert.revision,
        number_of(alert.value),
        kind_of(alert.value),
        alert.message,
        raised,
        micros(recorded_at(record)),
    )
    return _versioned("raw_alerts", values, earlier_wins(raised, values))


def _dead_letter(record: Record) -> Row:
    letter = decode(DeadLetter, record)
    try:
        key, payload, headers = letter.original()
    except ValueError as error:
        raise InvalidEvent("invalid_value", f"key, value or headers are no base64: {error}") from None
    return _letter(
        (
            letter.dead_letter_id,
            letter.reason,
            letter.detail,
            letter.topic,
            letter.partition,
            letter.offset,
            key,
            payload,
            headers,
            micros(letter.recorded_at),
        )
    )


def _letter_about(record: Record, error: InvalidEvent) -> Row:
    place = place_of(record)
    return _letter(
        (
            fact_id("dead-letter", str(place), error.reason, ""),
            error.reason,
            error.detail,
            place.topic,
            place.partition,
            place.offset,
            record.key or b"",
            record.value or b"",
            [(name.encode("utf-8", "replace"), value or b"") for name, value in record.headers],
            micros(recorded_at(record)),
        )
    )


def _letter(values: Values) -> Row:
    return _versioned("raw_dead_letters", values, earlier_wins(values[-1], values))


def _versioned(table: str, values: Values, version: int) -> Row:
    return Row(table, (*values, version))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_MAKERS: Mapping[str, Callable[[Record], Row]] = MappingProxyType(
    {
        "runs": _run,
        "steps": _step,
        "outcomes": _outcome,
        "exposures": _exposure,
        "waits": _wait,
        "scores": _score,
        "alerts": _alert,
        "dead-letters": _dead_letter,
    }
)

#: The topics that become tables.
STORED: tuple[str, ...] = tuple(_MAKERS)

__all__ = ["STORED", "Refused", "Result", "Row", "Skipped", "letter_row", "row_of"]

"""Rows of scores: every revision is a fact of its own, and its precedence decides between the facts."""

from __future__ import annotations

from upshot.processors.store.packed import Row, later_wins, pack_precedence
from upshot.processors.store.values import assignments, kind_of, number_of, texts
from upshot.schemas.ids import fact_id
from upshot.schemas.scores import Score
from upshot.streams.events.fast import NeedsSchema, moment_or_none, recorded_moment
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import Record, place_of

#: Given scores outrank decided ones: somebody corrects a rule's score.
_GIVEN = 1 << 255
#: Rescored scores stand between: another version of the code has decided, whatever events may still reach the
#: first one.
_RESCORED = 1 << 254


def score_row(score: Score, record: Record) -> Row:
    """A revision of a score, or a given score. Raises NeedsSchema for a given score without a value."""
    recorded = recorded_moment(record)
    decided = moment_or_none(score.decided_at) or recorded
    value, kind, identity = number_of(score.value), kind_of(score.value), score.identity
    fact, precedence = _precedence(score, decided, f"{kind} {value!r}")
    values = (
        identity,
        fact,
        score.run_id,
        score.step_id,
        score.name,
        value,
        kind,
        score.key or "",
        score.revision,
        score.supersedes,
        score.reason,
        score.late,
        score.subject or "",
        score.wait_id or "",
        score.outcome_id or "",
        moment_or_none(score.occurred_at),
        decided,
        score.agent or "",
        score.source or "",
        score.comment or "",
        assignments(score.exposures),
        texts(score.attributes),
        recorded,
        place_of(record).offset,
    )
    return pack_precedence("raw_scores", values, later_wins(decided), precedence)


def _precedence(score: Score, decided: Micros, content: str) -> tuple[str, int]:
    """The id of the score's fact, and its precedence among the facts of its score."""
    if score.reason in ("given", "rescored"):
        if score.value is None and score.reason == "given":
            raise NeedsSchema
        # A given score is identified by its time and value; the later counts.
        fact = fact_id(score.reason, score.identity, str(decided), content)
        rank = _GIVEN if score.reason == "given" else _RESCORED
        return fact, rank | decided << 128 | int(fact[:16], 16) << 64
    fact = fact_id("revision", score.identity, str(score.revision))
    return fact, score.revision << 128 | decided << 64


__all__ = ["score_row"]

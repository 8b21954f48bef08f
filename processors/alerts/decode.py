"""Scores as facts for rules: read fast, by the schema where that isn't sure."""

from __future__ import annotations

import json
from typing import Any

from upshot.alerts.scored import ScoreFact
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.scores import Score
from upshot.streams.events.fast import NeedsSchema, fast, moment_or_none, recorded_moment
from upshot.streams.events.parsing import parse
from upshot.streams.events.records import Record, decode, validate
from upshot.streams.events.topics import MAX_SCORE_BYTES


def read_score(record: Record) -> ScoreFact:
    """The revision of a score in a record. Raises InvalidEvent."""
    event = parse(record.value, MAX_SCORE_BYTES)
    try:
        score = fast(Score, event)
        if score.reason == "given" and score.value is None:
            raise NeedsSchema
        return _fact(score, record)
    except (NeedsSchema, OverflowError):
        return _fact(validate(Score, event), record)


def read_rule(record: Record) -> AlertRule:
    """The rule in a record. Raises InvalidEvent."""
    return decode(AlertRule, record)


def _fact(score: Score, record: Record) -> ScoreFact:
    decided = moment_or_none(score.decided_at) or recorded_moment(record)
    return ScoreFact(
        score_id=score.identity,
        run_id=score.run_id,
        name=score.name,
        value=score.value,
        reason=score.reason,
        revision=score.revision,
        decided_at=decided,
        happened_at=min(moment_or_none(score.occurred_at) or decided, decided),
        agent=score.agent or "",
        variants={one.experiment: one.variant for one in score.exposures},
        attributes={name: _text(value) for name, value in score.attributes.items()},
    )


def _text(value: Any) -> str:
    """A free fact as ClickHouse has it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


__all__ = ["read_rule", "read_score"]

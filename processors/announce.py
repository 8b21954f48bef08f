"""Facts of the join as records: scores, and dead letters for outcomes that give no score."""

from __future__ import annotations

from typing import Any

import msgspec

from upshot.processors.correlate import Refused, Scored
from upshot.processors.state import Known, instant
from upshot.schemas.ids import fact_id


def score_event(fact: Scored) -> dict[str, Any]:
    """The revision as an event of topic `scores` (see `upshot.schemas.scores.Score`)."""
    question, revision = fact.question, fact.revision
    verdict = revision.verdict
    return {
        "score_id": fact_id("score", fact.subject, question.wait_id),
        "run_id": question.run_id,
        "step_id": question.step_id,
        "name": question.name,
        "value": verdict.value,
        "revision": revision.number,
        "supersedes": revision.number - 1 or None,
        "reason": verdict.reason,
        "late": revision.late,
        "subject": fact.subject,
        "wait_id": question.wait_id,
        "outcome_id": verdict.outcome_id,
        "occurred_at": instant(verdict.at),
        "decided_at": instant(revision.decided_at),
        "agent": question.agent,
        "exposures": question.exposures,
        "attributes": question.attributes,
    }


def encode_score(fact: Scored) -> bytes:
    """The revision as bytes."""
    return msgspec.json.encode(score_event(fact))


def outcome_bytes(subject: str, outcome: Known) -> bytes:
    """An outcome as the CloudEvent that it was."""
    event = {
        "specversion": "1.0",
        "type": outcome.type,
        "subject": subject,
        "id": outcome.id,
        "source": outcome.source,
        "time": instant(outcome.time),
        "data": outcome.data,
    }
    return msgspec.json.encode(event)


def refusal(fact: Refused) -> str:
    """Why an outcome gave no score, and what to do."""
    return (
        f"wait {fact.question.wait_id} of run {fact.question.run_id}: {fact.detail}; "
        "mend the wait's rule or the outcome's data and send it again"
    )


__all__ = ["encode_score", "outcome_bytes", "refusal", "score_event"]

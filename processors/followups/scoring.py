"""Scores of a follow-up: the scores given by its code now, against the scores announced before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from upshot.processors.followups.execution import EmitScore
from upshot.processors.followups.state import EmittedScore
from upshot.schemas.scores import Reason


def revised(
    announced: Mapping[str, EmittedScore], gives: Iterable[EmitScore], withdrawn: Reason | None
) -> dict[str, EmittedScore]:
    """The scores differing from the announced scores, each with its next revision.

    Of several gives of one score the last counts. A score no longer given is withdrawn for this reason, or
    left unchanged without a reason.
    """
    given = {give.score_id: give for give in gives}
    changed = {}
    for score_id, give in given.items():
        before = announced.get(score_id)
        now = _revision(give, before.revision + 1 if before else 1)
        if before is None or _content(now) != _content(before):
            changed[score_id] = now
    if withdrawn is not None:
        for score_id, before in announced.items():
            if score_id not in given and before.value is not None:
                changed[score_id] = _withdrawn(before, withdrawn)
    return changed


def _revision(give: EmitScore, revision: int) -> EmittedScore:
    answering_event = give.answer and give.answer.event
    return EmittedScore(
        revision=revision,
        name=give.name,
        value=give.value,
        reason=_reason(give),
        at=give.at,
        step_id=give.step_id,
        key=give.key,
        comment=give.comment,
        subject=answering_event.subject if answering_event else None,
        outcome_id=answering_event.id if answering_event else None,
        late=give.answer.late if give.answer else False,
    )


def _reason(give: EmitScore) -> Reason:
    if give.answer is None:
        return "followup"
    return "deadline" if give.answer.event is None else "outcome"


def _withdrawn(before: EmittedScore, reason: Reason) -> EmittedScore:
    return EmittedScore(before.revision + 1, before.name, None, reason, before.at, before.step_id, before.key)


def _content(emitted: EmittedScore) -> tuple[object, ...]:
    """The content by which two scores are equal: true is not 1, and the lateness doesn't count."""
    return type(emitted.value), msgspec.structs.replace(emitted, revision=0, late=False)


__all__ = ["revised"]

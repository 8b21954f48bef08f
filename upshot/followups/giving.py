"""Scores as given by deferred code."""

from __future__ import annotations

from math import isfinite
from typing import Any

from upshot.errors import Misuse
from upshot.followups.branches import Branch
from upshot.processors.followups.execution import EmitScore
from upshot.schemas.ids import fact_id
from upshot.schemas.numbers import plain_number

LONGEST_ID = 512
_LONGEST_NAME, _LONGEST_COMMENT = 200, 1_000_000


def made(
    followup_id: str,
    name: str,
    value: Any,
    branch: Branch,
    step_id: str | None,
    comment: str | None,
    key: str | None,
) -> EmitScore:
    """A score given in a branch of the code. Raises Misuse for an invalid score."""
    check_text("a score's name", name, _LONGEST_NAME)
    check_text("key", key, LONGEST_ID)
    check_text("step_id", step_id, LONGEST_ID)
    check_text("comment", comment, _LONGEST_COMMENT)
    ident = score_id_of(followup_id, step_id, name, key)
    return EmitScore(
        score_id=ident,
        name=name,
        value=_plain(name, value),
        at=branch.now(),
        step_id=step_id,
        comment=comment,
        key=key,
        answer=branch.last_answer(),
    )


def score_id_of(followup_id: str, step_id: str | None, name: str, key: str | None) -> str:
    """The id of a follow-up's score."""
    return fact_id("followup", followup_id, step_id or "", name, key or "")


def check_text(what: str, text: str | None, longest: int) -> None:
    """Raises Misuse for a text no event could hold."""
    if text is not None and (not isinstance(text, str) or not 0 < len(text) <= longest):
        raise Misuse(f"{what} is a text of 1 to {longest:,} characters, not {text!r:.100}")


def _plain(name: str, value: Any) -> bool | float:
    number = plain_number(value)
    if isinstance(number, bool):
        return number
    if number is not None:
        try:
            if isfinite(finite := float(number)):
                return finite
        except OverflowError:
            pass
    raise Misuse(
        f"{value!r:.100} ({type(value).__name__}) is no score for {name!r}: give True, False or a finite "
        "number; a text can be the comment"
    )


__all__ = ["LONGEST_ID", "check_text", "made", "score_id_of"]

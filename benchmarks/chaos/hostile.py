"""Records and rules made to stop a worker, and a subject shared by many runs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.chaos.cases import Case

_DOUBLED = "[@,@][]"
#: Doubles what it is given, forty times.
DOUBLING = "|".join([_DOUBLED] * 40) + "|length(@)"
#: Costs nothing where the outcome has no list, so that no check before the outcome can refuse it.
COSTLY_FOR_SOME = f"data.list && (data.list|{'|'.join([_DOUBLED] * 8)}|length(@))"
#: Levels of JSON that are refused.
_TOO_DEEP = 300
UNREADABLE_TIME = "soon"


def poison(case: Case) -> None:
    """Bytes that a pattern, a parser or a walk of a tree could be caught by; the run's own outcome counts."""
    deep = "[" * _TOO_DEEP + "]" * _TOO_DEEP
    outcome = {"id": f"{case.run_id}-deep", "type": "pr.closed", "subject": case.subject, "data": None}
    values = (
        b"[]" * 201 + b'"' + b'\\"' * 48_000,
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'"' + b"\\u0041" * 60_000,
        b"9" * 100_000 + b"x",
        json.dumps(outcome).replace("null", deep).encode(),
        json.dumps(outcome | {"data": {f"k{n}": n for n in range(20_000)}, "time": UNREADABLE_TIME}).encode(),
    )
    case.wait()
    case.outcome(1, {"merged": True, **{f"key-{n}": n for n in range(2_000)}})
    for value in case.random.sample(values, 2):
        case.raw("outcomes", case.subject, value)
    case.shuffle()
    case.score(True)


def costly_rule(case: Case) -> None:
    """A rule that doubles is refused when it comes; one that doubles for some outcomes costs those only."""
    case.wait(name="doubled", on={"pr.closed": {"score": DOUBLING}})
    case.wait(name="doubled_for_some", on={"pr.closed": {"score": COSTLY_FOR_SOME}})
    case.outcome(1, {"list": list(range(2_000))})
    case.outcome(2, {"list": False})
    case.shuffle()
    case.score(False, "doubled_for_some")


def crowded(case: Case) -> None:
    """A wait and a few outcomes on a subject that all runs of this shape share."""
    subject, kind = f"unknown-{case.run_id.split('-')[1]}", f"closed.{case.run_id}"
    number = case.random.randint(5, 25)
    case.wait(
        name="closings", on={kind: {"score": "data.merged"}}, mode="count", otherwise=None, subject=subject
    )
    for n in range(number):
        case.outcome(n, {"merged": True}, kind=kind, subject=subject, time=case.now + timedelta(seconds=1))
    case.shuffle()
    case.score(number, "closings", subject)


#: What is made, and how often, relatively to the other shapes.
SHAPES: Mapping[str, tuple[Callable[[Case], None], int]] = {
    "poison": (poison, 15),
    "costly_rule": (costly_rule, 15),
    "crowded": (crowded, 20),
}

__all__ = ["COSTLY_FOR_SOME", "DOUBLING", "SHAPES", "UNREADABLE_TIME", "costly_rule", "crowded", "poison"]

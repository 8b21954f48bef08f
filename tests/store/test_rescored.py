"""Where other code has spoken: over all that is decided, below what somebody gives, in any order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.store.conftest import Store, Written, record

pytestmark = pytest.mark.stack


def revision(number: int, value: bool | None, reason: str, day: int, **more: Any) -> Written:
    """A score of one follow-up."""
    told = {"score_id": "s", "run_id": "r1", "name": "closed", "value": value, "revision": number}
    told |= {"reason": reason, "decided_at": f"2026-01-{day:02}T00:00:00Z"}
    return record("scores", told | more, offset=day)


FIRST = revision(1, True, "deadline", 1)
RESCORED = revision(2, False, "rescored", 2, supersedes=1, attributes={"scorer_version": "2"})
LATER = revision(2, True, "outcome", 3, supersedes=1)
WITHDRAWN = revision(3, None, "rescored", 4, supersedes=2)
GIVEN = revision(1, True, "given", 2)


@pytest.mark.parametrize(
    ("log", "current", "history"),
    [
        ([FIRST, RESCORED], [(0.0, "rescored")], 2),
        # What the code that had decided hears later doesn't count any more.
        ([FIRST, RESCORED, LATER], [(0.0, "rescored")], 3),
        ([FIRST, RESCORED, WITHDRAWN], [], 3),
        ([FIRST, RESCORED, GIVEN], [(1.0, "given")], 3),
    ],
)
async def test_what_counts(
    store: Store, log: list[Written], current: list[tuple[float, str]], history: int
) -> None:
    for order in permutations(log):
        store.clear()
        await store.take(*order, *order)
        assert store.values("SELECT value, reason FROM current_scores") == current
        assert store.values("SELECT count() FROM scores") == [(history,)]

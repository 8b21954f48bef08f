"""What was written under a trace's id finds the run that the trace's root names, in the real engine."""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.store.conftest import Store, record
from tests.store.story import decided, wait
from tests.store.test_counting import ROOT, TRACE, told

pytestmark = pytest.mark.stack

RUN = "order-run-7"
LATER = "2099-01-01T00:00:00Z"


async def facts(store: Store, which: int) -> None:
    """One of: the root of the trace; a score, a wait, and a follow-up with exposures of the trace."""
    followup = {"followup_id": "f1", "run_id": TRACE, "scorer": "stayed", "deferred_at": LATER}
    if which == 0:
        await told(store, [ROOT])
    elif which == 1:
        await store.take(decided(1, True, run_id=TRACE))
    else:
        await store.take(
            wait("w9", run_id=TRACE, subject="pr:9", opened_at="2026-01-01T00:00:00Z"),
            record("deferrals", followup),
            record("exposures", {"run_id": TRACE, "experiment": "e", "variant": "a"}),
        )


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_scores_waits_and_followups_of_a_trace_find_their_run(
    store: Store, order: tuple[int, ...]
) -> None:
    for which in order:
        await facts(store, which)
    seen = store.values("SELECT run_id, run_known, agent, exposures.experiment FROM current_scores")
    assert seen == [(RUN, True, "x", ["e"])]
    assert store.values("SELECT run_id, agent FROM pending WHERE wait_id = 'w9'") == [(RUN, "x")]
    assert store.values("SELECT run_id, agent FROM pending_followups") == [(RUN, "x")]
    assert store.values(f"SELECT count() FROM current_scores WHERE run_id = '{RUN}'") == [(1,)]
    assert store.values("SELECT run_id, experiment, variant, unit FROM exposures") == [(RUN, "e", "a", RUN)]


async def test_scores_of_other_runs_stay_with_these(store: Store) -> None:
    await told(store, [ROOT])
    await store.take(decided(1, True), decided(1, False, score_id="score-2", run_id=RUN, wait_id="w2"))
    assert store.values("SELECT run_id, run_known FROM current_scores ORDER BY run_id") == [
        (RUN, True),
        ("r1", False),
    ]

"""`upshot.testing.wait` plays a rule as the join of a worker decides it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from upshot import App
from upshot.errors import Misuse
from upshot.testing import Captured, wait

DAY = timedelta(days=1)
MERGED = {"pr.closed": "data.merged"}


def test_an_outcome_decides() -> None:
    with wait("merged", "pr:1", on=MERGED, within=14 * DAY, otherwise=False) as w:
        assert (w.score, w.pending) == (None, True)
        w.advance(DAY)
        w.outcome("pr.closed", "pr:2", {"merged": True})
        assert w.pending
        w.outcome("pr.closed", "pr:1", {"merged": True})
        assert (w.score, w.reason, w.pending) == (True, "outcome", False)


def test_time_runs_out_and_a_late_outcome_revises() -> None:
    with wait("merged", "pr:1", on=MERGED, within="P14D", otherwise=False) as w:
        began = w.now
        w.advance(15 * DAY)
        assert (w.score, w.reason) == (False, "deadline")
        w.outcome("pr.closed", {"merged": True}, at=began + 13 * DAY)
        assert (w.score, w.revisions) == (True, [False, True])
        with pytest.raises(Misuse, match="still to come"):
            w.outcome("pr.closed", at=w.now + DAY)


def test_without_an_answer_it_expires() -> None:
    with wait("merged", "pr:1", on=MERGED, within=DAY) as w:
        w.advance(2 * DAY)
        assert (w.score, w.reason, w.pending) == (None, "expired", False)


def test_revenue_less_refunds() -> None:
    on = {"order.paid": "data.amount", "order.refunded": {"score": "data.amount", "times": -1}}
    with wait("revenue", "order:1", on=on, within=30 * DAY, mode="sum") as w:
        w.outcome("order.paid", data={"amount": 50})
        w.outcome("order.paid", data={"amount": 20.5})
        w.outcome("order.refunded", data={"amount": 20.5})
        assert w.score == 50
        w.outcome("order.refunded", data={"amount": True})
        w.outcome("order.refunded", data={"amount": "9"})
        assert (w.score, len(w.refused)) == (50, 2)
        assert "a boolean" in w.refused[0]
        assert "refused" in repr(w)


@pytest.mark.parametrize(
    ("times", "amount", "score"), [(2, 3, 6.0), (0, 3, 0.0), (0.01, 1999, 19.99), (-1, 0, 0.0)]
)
def test_a_score_is_multiplied_in_every_mode(times: float, amount: float, score: float) -> None:
    with wait("x", "s:1", on={"a": {"score": "data.n", "times": times}}, within=DAY, mode="last") as w:
        w.outcome("a", data={"n": amount})
        assert w.score == pytest.approx(score)


def test_what_is_told_again_counts_once() -> None:
    with wait("n", "s:1", on=["a"], within=DAY, mode="count") as w:
        for _ in range(2):
            w.outcome("a", id="one")
        assert w.score == 1


def test_a_wait_that_an_app_has_sent(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        run.wait("merged", "pr:1", on=MERGED, within="P7D", otherwise=False)
    with wait(sent.waits[0]) as w:
        w.advance(8 * DAY)
        assert w.score is False


def test_a_rule_that_does_not_hold_together_is_refused() -> None:
    with pytest.raises(Misuse, match="without quotes"), wait("x", "s:1", on={"a": "true"}, within=DAY):
        pass

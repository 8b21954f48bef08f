"""Experiments in the load of the chaos, and the check of their attribution: a wrong one is found."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from benchmarks.chaos.cases import cases
from benchmarks.chaos.exposed import ARMS, misattributed, truth_of_runs, with_exposures

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_half_the_runs_are_exposed_in_any_order_the_same_for_a_seed() -> None:
    made, again = (list(islice(with_exposures(cases(5, lambda: AT), 5), 400)) for _ in range(2))
    truth = truth_of_runs(made)
    assert truth == truth_of_runs(again)
    assert 160 < sum(map(bool, truth.values())) < 240
    assert {exposed[0] for of_run in truth.values() for exposed in of_run} == set(ARMS)
    assert any(len({one[1] for one in of_run if one[0] == "tone"}) == 2 for of_run in truth.values())
    places = [case.messages.index(one) for case in made for one in case.messages if one.topic == "exposures"]
    assert 0 in places and max(places) > 2
    plain = [case.expected for case in islice(cases(5, lambda: AT), 400)]
    assert [case.expected for case in made] == plain


def test_a_wrong_attribution_is_found() -> None:
    truth = {"r1": [("tone", "warm", "1", 0.5)], "r2": []}
    right = {"experiment": "tone", "variant": "warm", "phase": "1", "probability": 0.5}
    assert not misattributed(truth, [("r1", "s1", [right]), ("r2", "s2", []), ("other", "s3", [right])])
    for run, exposures in (
        ("r1", []),
        ("r1", [right | {"variant": "plain"}]),
        ("r1", [right, right]),
        ("r1", [right | {"probability": 0.0}]),
        ("r2", [right]),
    ):
        assert len(misattributed(truth, [(run, "s", exposures)])) == 1

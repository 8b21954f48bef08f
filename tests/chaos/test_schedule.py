"""The schedule is the seed's, and every stretch of chaos ends in a calm."""

from __future__ import annotations

from itertools import islice
from typing import get_args

from benchmarks.chaos.schedule import STYLES, Kind, schedule

WORKERS = ["correlate-0", "correlate-1", "store-0"]


def test_the_same_seed_gives_the_same_actions_and_another_one_others() -> None:
    first, again, other = (list(islice(schedule(seed, WORKERS), 500)) for seed in (1, 1, 2))
    assert first == again != other


def test_every_kind_comes_and_servers_are_never_added_or_wiped() -> None:
    actions = list(islice(schedule(3, WORKERS), 5_000))
    assert {action.kind for action in actions} == set(get_args(Kind))
    assert {action.target for action in actions if action.kind == "kill"} == {
        *WORKERS,
        "kafka",
        "clickhouse",
    }
    for kind in ("wipe", "add", "remove", "cut", "hold", "slow", "lose"):
        assert {action.target for action in actions if action.kind == kind} == set(WORKERS)


def test_no_stretch_is_longer_than_its_style_allows() -> None:
    stretch, longest = 0, 0
    for action in islice(schedule(4, WORKERS), 5_000):
        stretch = 0 if action.kind == "calm" else stretch + 1
        longest = max(longest, stretch)
    assert longest <= max(style.actions[1] for style in STYLES.values())

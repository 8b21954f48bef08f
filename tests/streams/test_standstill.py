"""Who stands still, judged from outside by what groups commit; and who never does."""

from __future__ import annotations

from typing import Any

from aiokafka.structs import TopicPartition

from upshot.streams.kafka.groups import Group, Standing
from upshot.streams.kafka.standstill import Standstill, held_back

TP = TopicPartition("t", 1)
AT_FIVE = Standing(0, 9, 9, 5, "id", "id", "worker")


def group(standing: Standing, state: str = "Stable") -> Group:
    return Group("g", state, 1, {"t": standing.lag}, standings={TP: standing})


def places(standstill: Standstill, last: Group, after: float, now: float) -> list[Any]:
    found = standstill.stuck([last], after, now)
    return [(one.place, one.lag, one.seconds) for one in found if not one.is_held]


def looks(*states: Group) -> Standstill:
    """A look every ten seconds."""
    standstill = Standstill()
    for number, state in enumerate(states):
        standstill.look([state], 10.0 * number)
    return standstill


def test_one_that_has_something_to_read_and_does_not_move_is_named_by_its_record() -> None:
    standstill = looks(*[group(AT_FIVE)] * 4)
    assert places(standstill, group(AT_FIVE), 30, 30) == [("t/1/5", 4, 30.0)]
    assert places(standstill, group(AT_FIVE), 31, 30) == []


def test_more_that_is_written_is_no_progress() -> None:
    states = [group(AT_FIVE._replace(end=end, stable=end)) for end in (9, 20, 30, 40)]
    assert places(looks(*states), states[-1], 30, 30) == [("t/1/5", 35, 30.0)]


def test_whatever_moves_or_has_nothing_to_read_never_stands() -> None:
    backlog = [group(AT_FIVE._replace(committed=n, end=10**9, stable=10**9)) for n in (5, 6, 7, 8)]
    assert places(looks(*backlog), backlog[-1], 20, 30) == []
    silent = group(AT_FIVE._replace(committed=9))
    assert places(looks(*[silent] * 4), silent, 0, 30) == []
    alive = [group(AT_FIVE._replace(metadata=f"id recovering {n}")) for n in (9, 6, 3, 1)]
    assert places(looks(*alive), alive[-1], 20, 30) == []


def test_a_new_owner_and_a_group_that_shares_out_begin_anew() -> None:
    moved = group(AT_FIVE._replace(owner="other"))
    assert places(looks(group(AT_FIVE), group(AT_FIVE), group(AT_FIVE), moved), moved, 20, 30) == []
    sharing = group(AT_FIVE, "PreparingRebalance")
    assert (
        places(looks(group(AT_FIVE), group(AT_FIVE), sharing, group(AT_FIVE)), group(AT_FIVE), 20, 30) == []
    )


def test_what_a_transaction_holds_back_is_told_apart() -> None:
    held = group(AT_FIVE._replace(stable=5))
    assert places(looks(*[held] * 4), held, 0, 30) == []
    [one] = looks(*[held] * 4).stuck([held], 30, 30)
    assert (one.place, one.is_held) == ("t/1/5", True)
    assert looks(group(AT_FIVE), group(AT_FIVE), held, held).stuck([held], 20, 30) == [], "it has just begun"
    assert list(held_back([held])) == [TP]
    short_of_it = group(AT_FIVE._replace(stable=7))
    assert places(looks(*[short_of_it] * 4), short_of_it, 30, 30) == [("t/1/5", 4, 30.0)]
    assert not held_back([group(AT_FIVE)])


def test_what_was_committed_in_a_topic_before_counts_for_nothing() -> None:
    another = AT_FIVE._replace(metadata="before")
    assert (another.is_of_another, another.position, another.lag, another.lost) == (True, 0, 9, 0)
    assert (AT_FIVE.is_of_another, AT_FIVE.lag) == (False, 4)
    by_hand = AT_FIVE._replace(metadata="")
    assert not by_hand.is_of_another
    assert AT_FIVE._replace(first=7).lost == 2

"""Who gets which partitions.

Complete, fair, with as few moves as can be, and the same for everyone who asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.streams.events.handler import TP
from upshot.streams.state.assignment import TOLERABLE, Member, MemberAssignment, shares

TABLE = "changelog"


def member(reads: set[str], **what: object) -> Member:
    return replace(Member(frozenset(reads)), **what)  # type: ignore[arg-type]


def table(count: int) -> dict[str, int]:
    return {TABLE: count}


def units(numbers: object) -> frozenset[TP]:
    return frozenset(TP(TABLE, number) for number in numbers)  # type: ignore[attr-defined]


@st.composite
def groups(draw: st.DrawFn, warm: bool = False) -> tuple[dict[str, Member], dict[str, int]]:
    """Members with any claims and stores, also contradicting ones, and topics of any size."""
    sizes = draw(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9), min_size=1, max_size=3))
    all_units = [TP(topic, number) for topic, size in sizes.items() for number in range(size)]
    some = st.frozensets(st.sampled_from(all_units))
    offset = st.integers(0, TOLERABLE if warm else 5 * TOLERABLE)
    return {
        name: Member(
            frozenset(sizes),
            draw(st.integers(-1, 3)),
            draw(some),
            draw(st.dictionaries(st.sampled_from(all_units), offset)),
        )
        for name in draw(st.lists(st.sampled_from("PQRSTU"), min_size=1, unique=True))
    }, sizes


def spread(counts: Counter[str], members: Mapping[str, Member]) -> int:
    found = [counts[name] for name in members]
    return max(found) - min(found)


@given(groups(), st.integers(0, 3))
def test_every_unit_has_one_owner_and_standbys_elsewhere(
    group: tuple[dict[str, Member], dict[str, int]], replicas: int
) -> None:
    members, sizes = group
    result = shares(members, sizes, replicas)
    owned = [unit for share in result.values() for unit in share.active]
    assert sorted(owned) == sorted(TP(topic, n) for topic, size in sizes.items() for n in range(size))
    followed = Counter(unit for share in result.values() for unit in share.standby)
    warming = Counter(unit for share in result.values() for unit in share.warming)
    for unit in owned:
        assert followed[unit] == max(min(replicas, len(members) - 1), warming[unit])
    for share in result.values():
        assert not share.active & share.standby
        assert share.warming <= share.standby


@given(groups(warm=True))
def test_shares_differ_by_at_most_one(group: tuple[dict[str, Member], dict[str, int]]) -> None:
    members, sizes = group
    result = shares(members, sizes)
    total = Counter({name: len(share.active) for name, share in result.items()})
    assert spread(total, members) <= 1
    for topic in sizes:
        of_topic = {name: sum(unit.topic == topic for unit in share.active) for name, share in result.items()}
        assert spread(Counter(of_topic), members) <= 1


@given(groups(), st.integers(0, 2))
def test_the_order_in_which_members_are_told_is_nothing(
    group: tuple[dict[str, Member], dict[str, int]], replicas: int
) -> None:
    members, sizes = group
    first = shares(members, sizes, replicas)
    assert shares(dict(reversed(members.items())), dict(reversed(sizes.items())), replicas) == first


def moved(members: Mapping[str, Member], result: Mapping[str, MemberAssignment]) -> int:
    """Units that went away from a member that is still there."""
    return sum(len(members[name].owned - share.active) for name, share in result.items())


def fewest_moves(owned: list[int], size: int) -> int:
    """Over all fair quotas: what no assignment can stay below."""
    each, rest = divmod(size, len(owned))
    quotas = set(permutations([each + (place < rest) for place in range(len(owned))]))
    return min(sum(max(0, had - quota) for had, quota in zip(owned, q, strict=True)) for q in quotas)


@given(st.integers(1, 12), st.integers(1, 5), st.data())
def test_no_fair_assignment_moves_less(size: int, count: int, data: st.DataObject) -> None:
    holders = data.draw(st.lists(st.integers(-1, count - 1), min_size=size, max_size=size))
    owned = [[n for n, holder in enumerate(holders) if holder == name] for name in range(count)]
    members = {f"m{name}": member({TABLE}, generation=1, owned=units(owned[name])) for name in range(count)}
    result = shares(members, table(size))
    assert moved(members, result) == fewest_moves([len(numbers) for numbers in owned], size)


def settled(members: Mapping[str, Member], sizes: Mapping[str, int], replicas: int = 0) -> dict[str, Member]:
    """The same members after they worked with what they were given; state of a million records each."""
    result = shares(members, sizes, replicas)
    return {
        name: replace(
            one,
            generation=one.generation + 1,
            owned=result[name].active,
            stored={unit: 1_000_000 for unit in result[name].active | result[name].standby},
        )
        for name, one in members.items()
    }


@given(groups(), st.integers(0, 2))
def test_who_asks_again_gets_the_same(group: tuple[dict[str, Member], dict[str, int]], replicas: int) -> None:
    """Once all have read what they follow, nothing moves any more, and shares are fair.

    Three rounds are enough: the state that moves with a first warm-up, what this makes preferable, and the
    same for the topics dealt after.
    """
    members, sizes = group
    for _ in range(3):
        members = settled(members, sizes, replicas)
    result = shares(members, sizes, replicas)
    assert moved(members, result) == 0
    assert not any(share.warming for share in result.values())
    assert spread(Counter({name: len(share.active) for name, share in result.items()}), members) <= 1


def test_a_third_worker_gets_one_of_four() -> None:
    members = {name: member({TABLE}) for name in ("one", "two", "three")}
    assert sorted(len(share.active) for share in shares(members, table(4)).values()) == [1, 1, 2]


def test_a_new_worker_follows_what_it_has_not_read_and_its_owner_goes_on() -> None:
    old = member(
        {TABLE}, generation=3, owned=units(range(4)), stored={unit: 9_000_000 for unit in units(range(4))}
    )
    members = {"old": old, "new": member({TABLE})}
    before = shares(members, table(4))
    assert before["old"].active == units(range(4))
    assert len(before["new"].warming) == 2
    caught_up = {unit: 9_000_000 - TOLERABLE for unit in before["new"].standby}
    members["new"] = member({TABLE}, generation=4, stored=caught_up)
    after = shares(members, table(4))
    assert after["new"] == MemberAssignment(active=before["new"].warming)


def test_who_comes_back_gets_what_it_has_on_disk() -> None:
    stored = {unit: 500_000 for unit in units(range(4))}
    members = {
        "old": member({TABLE}, generation=3, owned=units(range(4)), stored=stored),
        "back": member({TABLE}, stored={unit: 499_000 for unit in units([1, 2])}),
    }
    assert shares(members, table(4))["back"].active == units([1, 2])


def test_the_standby_takes_over() -> None:
    members = {name: member({TABLE}) for name in ("one", "two", "three")}
    members = settled(settled(members, table(6), 1), table(6), 1)
    gone = members.pop("one")
    result = shares(members, table(6), 1)
    for unit in gone.owned:
        (name,) = (name for name, share in result.items() if unit in share.active)
        assert unit in members[name].stored, "somebody took over who had not followed"


def test_a_claim_of_an_older_generation_is_out_of_date() -> None:
    members = {
        "frozen": member({TABLE}, generation=3, owned=units([0, 1])),
        "owner": member({TABLE}, generation=5, owned=units([0, 1])),
    }
    result = shares(members, table(2))
    assert moved(members, {"owner": result["owner"]}) == 1


def test_members_get_only_what_they_read() -> None:
    members = {"old": member({"a"}), "new": member({"a", "b"})}
    result = shares(members, {"a": 4, "b": 4})
    assert {unit.topic for unit in result["old"].active} == {"a"}
    assert sum(unit.topic == "b" for unit in result["new"].active) == 4


@pytest.mark.parametrize("replicas", [0, 1])
def test_nobody_there_and_nothing_to_read(replicas: int) -> None:
    assert shares({}, table(4), replicas) == {}
    assert shares({"one": member(set())}, table(4), replicas) == {"one": MemberAssignment()}

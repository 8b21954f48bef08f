"""Which member of a group works on which partitions, and who follows them: pure functions of the members'
data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from upshot.streams.events.handler import TP

#: Changelog records that a new owner may still have to read: about a second of bulk recovery. Who has more to
#: read follows the partition first, and its owner goes on meanwhile.
TOLERABLE = 100_000


@dataclass(frozen=True)
class Member:
    """The data sent by a worker when joining.

    A unit can't be divided: a partition number of all topics sharing a table, named by any of them, or a
    partition of a topic. `owned` are the units of this worker in `generation` (-1: the worker is new);
    `stored` is how far into a unit's changelog the worker's own copy of the state goes (the offset to read
    next); `reads` are the topics this worker can be given.
    """

    reads: frozenset[str]
    generation: int = -1
    owned: frozenset[TP] = frozenset()
    stored: Mapping[TP, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MemberAssignment:
    """The units of a worker: to work on, to follow, and those followed units becoming its own once read."""

    active: frozenset[TP] = frozenset()
    standby: frozenset[TP] = frozenset()
    warming: frozenset[TP] = frozenset()


def shares(
    members: Mapping[str, Member], sizes: Mapping[str, int], replicas: int = 0
) -> dict[str, MemberAssignment]:
    """A share for each member, of the units 0 … size-1 of each topic in `sizes`.

    Complete: a unit read by any member has exactly 1 owner, and `replicas` standbys on other members, as far
    as there are any. Fair: of each topic, and in all, the shares of its readers differ by at most 1. Sticky:
    no unit moves from a remaining member but for fairness. A unit whose new owner lacks more than `TOLERABLE`
    records stays with the old owner until the new owner has them; so long shares may be unfair.
    Deterministic.
    """
    owners = _owners(members)
    fair: dict[TP, str] = {}
    totals: Counter[str] = Counter()
    for topic in sorted(sizes):
        readers = sorted(name for name, member in members.items() if topic in member.reads)
        if readers:
            fair |= _deal(topic, sizes[topic], readers, members, owners, totals)
    warming = {unit: name for unit, name in fair.items() if _is_cold(unit, name, owners, members)}
    actives = fair | {unit: owners[unit] for unit in warming}
    standbys = _standbys(actives, warming, members, replicas)
    return {
        name: MemberAssignment(
            frozenset(unit for unit, owner in actives.items() if owner == name),
            frozenset(unit for unit, followers in standbys.items() if name in followers),
            frozenset(unit for unit, owner in warming.items() if owner == name),
        )
        for name in members
    }


def _owners(members: Mapping[str, Member]) -> dict[TP, str]:
    """Who worked on each unit last: a claim of an older generation is out of date."""
    owners: dict[TP, str] = {}
    for name, member in sorted(members.items(), key=lambda item: (item[1].generation, item[0])):
        owners |= dict.fromkeys((unit for unit in member.owned if unit.topic in member.reads), name)
    return owners


def _deal(
    topic: str,
    size: int,
    readers: list[str],
    members: Mapping[str, Member],
    owners: Mapping[TP, str],
    totals: Counter[str],
) -> dict[TP, str]:
    """Owners of a topic's units; `totals` counts each member's units of all topics so far."""
    units = [TP(topic, number) for number in range(size)]
    had = {name: [unit for unit in units if owners.get(unit) == name] for name in readers}
    ready = {name: sum(not _is_cold(unit, name, owners, members) for unit in units) for name in readers}
    quota = _quotas(size, readers, {name: len(had[name]) for name in readers}, ready, totals)
    dealt: dict[TP, str] = {}
    for name in readers:
        takers = [other for other in readers if len(had[other]) < quota[other]]
        # Give up what somebody else has the most of.
        stored = sorted(had[name], key=lambda unit: (_best(unit, takers, members), unit))[: quota[name]]
        dealt |= dict.fromkeys(stored, name)
    room = Counter(quota)
    room.subtract(Counter(dealt.values()))
    dealt |= _place([unit for unit in units if unit not in dealt], room, members)
    totals.update(dealt.values())
    return dealt


def _quotas(
    size: int,
    readers: list[str],
    had: Mapping[str, int],
    ready: Mapping[str, int],
    totals: Mapping[str, int],
) -> dict[str, int]:
    """The division's rest goes to the members with the least in all, then to members who had more than the
    others get, then to members who could work on so much at once.

    The last of these keeps the target while members warm up: a member that had nothing and has read all units
    meant for the member stays preferred to a member with the smaller share.
    """
    each, rest = divmod(size, len(readers))

    def rank(name: str) -> tuple[int, bool, bool, str]:
        return totals[name], had[name] <= each, ready[name] <= each, name

    order = sorted(readers, key=rank)
    return {name: each + (place < rest) for place, name in enumerate(order)}


def _place(units: Sequence[TP], room: Counter[str], members: Mapping[str, Member]) -> dict[TP, str]:
    """Each unit to a member with capacity: first to the members with most of its state, then evenly."""
    placed: dict[TP, str] = {}
    takers = [name for name, left in sorted(room.items()) if left > 0]
    stored = [
        (members[name].stored[u], u, name) for u in units for name in takers if u in members[name].stored
    ]
    for _, unit, name in sorted(stored, key=lambda found: (-found[0], found[1], found[2])):
        if unit not in placed and room[name] > 0:
            placed[unit] = name
            room[name] -= 1
    for unit in units:
        if unit not in placed:
            name = placed[unit] = max(takers, key=lambda name: room[name])
            room[name] -= 1
    return placed


def _best(unit: TP, names: Iterable[str], members: Mapping[str, Member]) -> int:
    return max((members[name].stored.get(unit, -1) for name in names), default=-1)


def _is_cold(unit: TP, name: str, owners: Mapping[TP, str], members: Mapping[str, Member]) -> bool:
    """Whether the unit had better stay with its owner until `name` has read more of its state."""
    owner = owners.get(unit, name)
    lead = members[owner].stored.get(unit, 0) - members[name].stored.get(unit, 0)
    return owner != name and lead > TOLERABLE


def _standbys(
    actives: Mapping[TP, str], warming: Mapping[TP, str], members: Mapping[str, Member], replicas: int
) -> dict[TP, set[str]]:
    """Followers of each unit: the members warming up, and `replicas` in all, where most is stored, but
    evenly.
    """
    standbys: dict[TP, set[str]] = {unit: {name} for unit, name in warming.items()}
    loads = Counter(warming.values())
    even = math.ceil(len(actives) * replicas / len(members)) if members else 0

    def rank(unit: TP, name: str) -> tuple[bool, int, int, str]:
        return loads[name] >= even, -members[name].stored.get(unit, -1), loads[name], name

    for _ in range(replicas):
        for unit, active in sorted(actives.items()):
            followers = standbys.setdefault(unit, set())
            others = _followers_of(unit, members, {active, *followers})
            if others and len(followers) < replicas:
                standby_replicas = min(others, key=lambda name: rank(unit, name))
                followers.add(standby_replicas)
                loads[standby_replicas] += 1
    return standbys


def _followers_of(unit: TP, members: Mapping[str, Member], but: Collection[str]) -> list[str]:
    return [name for name, member in members.items() if unit.topic in member.reads and name not in but]


__all__ = ["TOLERABLE", "Member", "MemberAssignment", "shares"]

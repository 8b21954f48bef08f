"""Who of a group works on which partitions, and who follows them: pure functions of what the members say."""

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
    """What one worker says of itself when it joins.

    A unit is what can't be divided: one partition number of all topics that share a table, named by one of
    them, or one partition of a topic. `owned` are the units that it worked on in `generation` (-1: it's new);
    `stored` is how far into a unit's changelog its own copy of the state goes (the offset to read next);
    `reads` are the topics that it can be given.
    """

    reads: frozenset[str]
    generation: int = -1
    owned: frozenset[TP] = frozenset()
    stored: Mapping[TP, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MemberAssignment:
    """What a worker gets: to work on, to follow, and of the latter what becomes its own once it has read it."""

    active: frozenset[TP] = frozenset()
    standby: frozenset[TP] = frozenset()
    warming: frozenset[TP] = frozenset()


def shares(
    members: Mapping[str, Member], sizes: Mapping[str, int], replicas: int = 0
) -> dict[str, MemberAssignment]:
    """A share for each member, of the units 0 … size-1 of each topic in `sizes`.

    Complete: a unit that somebody reads has one owner, and `replicas` standbys on other members, as far as there
    are any. Fair: of each topic, and in all, the shares of those who read it differ by at most one. Sticky: no
    unit moves from a member that stays but for fairness. A unit whose new owner lacks more than `TOLERABLE`
    records stays where it is until it has them; so long shares may be unfair. Deterministic.
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
    """Owners of one topic's units; `totals` counts what each member has of all topics so far."""
    units = [TP(topic, number) for number in range(size)]
    had = {name: [unit for unit in units if owners.get(unit) == name] for name in readers}
    quota = _quotas(size, readers, {name: len(had[name]) for name in readers}, totals)
    dealt: dict[TP, str] = {}
    for name in readers:
        takers = [other for other in readers if len(had[other]) < quota[other]]
        # Give up what somebody else has the most of.
        kept = sorted(had[name], key=lambda unit: (_best(unit, takers, members), unit))[: quota[name]]
        dealt |= dict.fromkeys(kept, name)
    room = Counter(quota)
    room.subtract(Counter(dealt.values()))
    dealt |= _place([unit for unit in units if unit not in dealt], room, members)
    totals.update(dealt.values())
    return dealt


def _quotas(
    size: int, readers: list[str], had: Mapping[str, int], totals: Mapping[str, int]
) -> dict[str, int]:
    """The division's rest goes to those who have the least in all, then to those who had the most of it."""
    each, rest = divmod(size, len(readers))
    order = sorted(readers, key=lambda name: (totals[name], -had[name], name))
    return {name: each + (place < rest) for place, name in enumerate(order)}


def _place(units: Sequence[TP], room: Counter[str], members: Mapping[str, Member]) -> dict[TP, str]:
    """Each unit to a member with room: first those that have the most of its state, then evenly."""
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
    """Followers of each unit: those that warm up, and `replicas` in all, where most is stored, but evenly."""
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

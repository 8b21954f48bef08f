"""`shares` on the wire: the assignor's interface for aiokafka's coordinator and Faust's recovery."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)
from faust.types.assignor import PartitionAssignorT

from upshot.streams.events.handler import TP
from upshot.streams.state.assignment import Member, MemberAssignment, shares

log = logging.getLogger(__name__)

#: Of the user data. Fields may be added without a new version; readers ignore what they don't know.
VERSION = 1


class MemberData(msgspec.Struct):
    """User data of a joining member: see `Member`. Partition numbers by topic."""

    version: int = VERSION
    generation: int = -1
    owned: dict[str, list[int]] = {}
    stored: dict[str, dict[int, int]] = {}


class Given(msgspec.Struct):
    """User data of an assignment: the followed units. The units to work on are the assignment itself."""

    version: int = VERSION
    standby: dict[str, list[int]] = {}
    warming: dict[str, list[int]] = {}
    #: Partitions of the table; 0 without one.
    units: int = 0


D = TypeVar("D", MemberData, Given)


class BatchAssignor(AbstractPartitionAssignor, PartitionAssignorT):  # type: ignore[misc]
    """Gives each member of the group its share, and remembers this member's own.

    With a table, the same partition number of all topics is one unit, named after the changelog. The
    changelog itself is not assigned: recovery and standbys read it with consumers of their own. Called by
    aiokafka in the consumer's thread.
    """

    name = "upshot"
    version = VERSION

    def __init__(self, app: Any, replicas: int = 0) -> None:
        self.app = app
        self.replicas = app.settings.standby_replicas
        self.share = MemberAssignment()
        self._generation = -1
        #: Partitions of the table, as counted before the start or said with the last assignment; 0 without a
        #: table.
        self.units = 0

    @property
    def _changelog(self) -> str | None:
        return self.app.table.changelog_topic_name if self.app.table is not None else None

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """The data sent by this member when joining."""
        table = self._changelog
        stored = {table: self.app.table.store.positions()} if table else {}
        members_data = MemberData(
            generation=self._generation, owned=_by_topic(self.share.active), stored=stored
        )
        return ConsumerProtocolMemberMetadata(VERSION, sorted(topics), msgspec.json.encode(members_data))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The leader's part: everybody's share."""
        reads = {name: frozenset(metadata.subscription) for name, metadata in members.items()}
        counts = {
            topic: len(cluster.partitions_for_topic(topic) or ())
            for topic in frozenset[str]().union(*reads.values())
        }
        table = self._changelog
        sizes = {table: counts.get(table, 0)} if table else counts
        members_data = {name: _member(reads[name], metadata.user_data) for name, metadata in members.items()}
        units = sizes[table] if table else 0
        given = shares(members_data, sizes, self.replicas if table else 0)
        return {
            name: self._assignment(given[name], {topic: counts[topic] for topic in reads[name]}, units)
            for name in members
        }

    def _assignment(
        self, share: MemberAssignment, counts: Mapping[str, int], units: int
    ) -> ConsumerProtocolMemberAssignment:
        tps = _by_topic(self._inputs(share.active, counts, units))
        given = Given(standby=_by_topic(share.standby), warming=_by_topic(share.warming), units=units)
        return ConsumerProtocolMemberAssignment(VERSION, list(tps.items()), msgspec.json.encode(given))

    def _inputs(self, active: Iterable[TP], counts: Mapping[str, int], units: int) -> Iterable[TP]:
        """The partitions to read, of units. A topic's partitions beyond the table's are dealt out in
        rotation.
        """
        for unit in active:
            if unit.topic != self._changelog:
                yield unit
            else:
                others = (topic for topic in counts if topic != unit.topic)
                yield from (
                    TP(t, number) for t in others for number in range(unit.partition, counts[t], units)
                )

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Note this member's share, and the share's generation."""
        given = _decoded(assignment.user_data, Given)
        tps = {TP(*tp) for tp in assignment.partitions()}
        table = self._changelog
        # Leaders of an earlier version don't say how many, and share out none beyond.
        self.units = given.units or self.units
        active = {TP(table, tp.partition % max(1, self.units)) for tp in tps} if table else tps
        self.share = MemberAssignment(
            frozenset(active), frozenset(_units(given.standby)), frozenset(_units(given.warming))
        )
        self._generation = self.app.consumer.generation

    def assigned_actives(self) -> set[TP]:
        """Faust's recovery looks for partitions of changelogs among these."""
        return set(self.share.active)

    def assigned_standbys(self) -> set[TP]:
        """None for Faust: followed partitions are not its business."""
        return set()

    def is_active(self, tp: TP) -> bool:
        return tp in self.share.active

    def is_standby(self, tp: TP) -> bool:
        return False

    def group_for_topic(self, topic: str) -> int:
        """Faust's transactions, which are off, ask for the group."""
        return 0

    def key_store(self, topic: str, key: bytes) -> Any:
        """Faust's web router, which is off, asks who has a key."""
        raise NotImplementedError("a batch app routes no requests")

    def table_metadata(self, topic: str) -> dict[str, Any]:
        """For the web router too: nobody answers for a table."""
        return {}

    def tables_metadata(self) -> dict[str, Any]:
        return {}


def _member(reads: frozenset[str], user_data: bytes) -> Member:
    members_data = _decoded(user_data, MemberData)
    stored = {TP(topic, n): offset for topic, at in members_data.stored.items() for n, offset in at.items()}
    return Member(reads, members_data.generation, frozenset(_units(members_data.owned)), stored)


def _decoded(user_data: bytes, kind: type[D]) -> D:
    """Data of a version unreadable here counts as no data."""
    try:
        found = msgspec.json.decode(user_data, type=kind)
    except msgspec.DecodeError:
        log.debug("unreadable user data in the group: %r", user_data)
        return kind()
    return found if found.version == VERSION else kind()


def _by_topic(units: Iterable[TP]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(units):
        numbers[topic].append(number)
    return dict(numbers)


def _units(numbers: Mapping[str, Iterable[int]]) -> Iterable[TP]:
    return (TP(topic, number) for topic, of_topic in numbers.items() for number in of_topic)


__all__ = ["VERSION", "BatchAssignor"]

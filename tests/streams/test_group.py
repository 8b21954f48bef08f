"""Several workers on one group: fair shares, on the wire."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from upshot.streams.runtime import TP

pytestmark = pytest.mark.stack


def owned(worker: Any) -> frozenset[TP]:
    mine: frozenset[TP] = worker.handler.context.assignment()
    return mine if worker.app.processing_loop.is_open else frozenset()


def complete(workers: list[Any], count: int) -> bool:
    return len([tp for worker in workers for tp in owned(worker)]) == count


async def test_a_third_worker_on_four_partitions_works_too(bench: Any, until: Any) -> None:
    one, two = await bench.topic("one", 4), await bench.topic("two", 4)
    group = bench.name("app")
    async with AsyncExitStack() as stack:
        workers = []
        for count in (1, 2, 3):
            before = [owned(worker) for worker in workers]
            workers.append(await stack.enter_async_context(bench.worker(group, [one, two])))
            await until(lambda: owned(workers[-1]) and complete(workers, 8))
            shares = [{tp.partition for tp in owned(worker)} for worker in workers]
            assert sorted(map(len, shares)) == {1: [4], 2: [2, 2], 3: [1, 1, 2]}[count]
            for worker, numbers in zip(workers, shares, strict=True):
                assert owned(worker) == {TP(topic, n) for topic in (one, two) for n in numbers}
            for had, worker in zip(before, workers, strict=False):
                assert owned(worker) <= had, "a worker that stays got what it had not"
        stays = owned(workers[0]), owned(workers[1])
        await workers.pop().stops()
        await until(lambda: complete(workers, 8))
        assert owned(workers[0]) >= stays[0]
        assert owned(workers[1]) >= stays[1]


async def test_without_a_table_every_topic_is_shared_alike(bench: Any, until: Any) -> None:
    topics = [await bench.topic(stem, count) for stem, count in (("a", 4), ("b", 4), ("c", 1))]
    group = bench.name("app")
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(bench.worker(group, topics, table=None)) for _ in range(3)]
        await until(lambda: all(map(owned, workers)) and complete(workers, 9))
        assert [len(owned(worker)) for worker in workers] == [3, 3, 3]
        for topic in topics[:2]:
            counts = Counter(sum(tp.topic == topic for tp in owned(worker)) for worker in workers)
            assert counts == {1: 2, 2: 1}


class Stranger(AbstractPartitionAssignor):
    """Of another version: says what nobody here can read. Never the first, so never asked to assign."""

    name = "upshot"
    given: list[Any] = []  # noqa: RUF012

    @classmethod
    def assign(cls, cluster: Any, members: Any) -> Any:
        raise AssertionError("the leader is the member that came first")

    @classmethod
    def metadata(cls, topics: Any) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(99, list(topics), b'{"version": 99, "owned": "all of it"}')

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        cls.given = assignment.partitions()


async def test_a_member_of_another_version_gets_its_share(bench: Any, until: Any) -> None:
    source, group = await bench.topic("in", 4), bench.name("app")
    async with bench.worker(group, [source]) as worker:
        await until(lambda: len(owned(worker)) == 4)
        stranger = AIOKafkaConsumer(
            source,
            worker.app.table.changelog_topic_name,
            bootstrap_servers=bench.kafka.bootstrap,
            group_id=group,
            partition_assignment_strategy=[Stranger],
            enable_auto_commit=False,
        )
        try:
            await stranger.start()
            await until(lambda: len(owned(worker)) == 2 and len(Stranger.given) == 2)
        finally:
            await stranger.stop()
        await until(lambda: len(owned(worker)) == 4)

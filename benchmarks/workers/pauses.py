"""How long the scores of a partition stay away when workers come and go."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from group import Group
from load import send_pair, subjects

from upshot.settings import Settings
from upshot.streams.kafka.producer import event_producer


class Change(NamedTuple):
    """A change of the group."""

    name: str
    do: Callable[[Group], object]


CHANGES = (
    Change("nothing (1 worker)", lambda group: None),
    Change("a second joins", lambda group: group.start()),
    Change("a third joins", lambda group: group.start()),
    Change("a fourth joins", lambda group: group.start()),
    Change("the fourth is killed (-9), and restarted", lambda group: group.restart("worker-4")),
    Change("the fourth is stopped", lambda group: group.stop("worker-4")),
    Change("the third is killed (-9) for good", lambda group: group.kill("worker-3")),
    Change("the third comes back", lambda group: group.start("worker-3")),
)


class Pause(NamedTuple):
    """A change's result: partitions per worker afterwards, and a partition's longest gap in seconds."""

    shares: str
    seconds: float


@dataclass
class Scores:
    """When each partition's scores were written, in seconds of the wall clock."""

    written: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def read(self, reader: AIOKafkaConsumer) -> None:
        """Without end."""
        while True:
            for records in (await reader.getmany(timeout_ms=500)).values():
                for record in records:
                    self.written[int(record.key.partition(b"/")[0])].append(record.timestamp / 1000)

    def flow(self, since: float, partitions: int) -> bool:
        """Whether every partition has brought a score since."""
        return all(self.written[number] and self.written[number][-1] >= since for number in range(partitions))


def longest_gap(written: Mapping[int, Sequence[float]], begin: float, end: float) -> float:
    """The longest time without a score in [begin, end], of the partition with the longest time."""
    gaps = [0.0]
    for times in written.values():
        inside = [begin, *sorted(at for at in times if begin <= at <= end), end]
        gaps += [after - before for before, after in pairwise(inside)]
    return max(gaps)


async def measure_pauses(settings: Settings, group: Group, rate: int, calm: float) -> dict[str, Pause]:
    """Make every change under a steady load, each `calm` seconds after the end of the change before."""
    scores, found = Scores(), {}
    async with AIOKafkaConsumer(
        settings.topic("scores"), bootstrap_servers=settings.kafka_url, auto_offset_reset="latest"
    ) as reader:
        tasks = [asyncio.create_task(scores.read(reader)), asyncio.create_task(_load(settings, rate))]
        await asyncio.to_thread(group.start)
        await _until(lambda: scores.flow(0, settings.partitions))
        await asyncio.sleep(calm)
        for change in CHANGES:
            found[change.name] = await _measure(change, settings, group, scores, calm)
            for task in tasks:
                if task.done():
                    task.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


async def _measure(change: Change, settings: Settings, group: Group, scores: Scores, calm: float) -> Pause:
    begin = time.time()
    await asyncio.to_thread(change.do, group)
    await _until(lambda: group.are_shared(group.running(), settings.partitions))
    shared = time.time()
    await _until(lambda: scores.flow(shared, settings.partitions))
    await asyncio.sleep(calm)
    return Pause(group.shares(group.running()), longest_gap(scores.written, begin, time.time() - 1))


async def _load(settings: Settings, rate: int) -> None:
    source = subjects(settings.partitions)
    begin, sent = time.perf_counter(), 0
    async with event_producer(settings) as producer:
        while True:
            while sent < (time.perf_counter() - begin) * rate:
                await send_pair(producer, *next(source))
                sent += 1
            await asyncio.sleep(0.005)


async def _until(condition: Callable[[], bool], patience: float = 120.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the group does not settle: its logs say why")
        await asyncio.sleep(0.1)


__all__ = ["CHANGES", "Pause", "longest_gap", "measure_pauses"]

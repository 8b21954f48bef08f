"""Sends cases as fast as asked, through whatever happens to the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.chaos.cases import Case, Message
from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.partitioner import partition_for

_RETRY_AFTER = 0.5
_MAX_REQUEST_BYTES = 16 * 1024 * 1024


class Load:
    """Cases that are sent until told to stop.

    Each message is kept and tried again until it's acknowledged.
    """

    def __init__(self, settings: Settings, cases: Iterator[Case], per_second: float) -> None:
        self._settings = settings
        self._cases = cases
        self._pause = 1 / per_second
        self._pending: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._going = asyncio.Event()
        self._going.set()
        self._owed = 0
        self._failed: BaseException | None = None
        self.sent: list[Case] = []

    @property
    def pending(self) -> int:
        """Cases of which some message isn't acknowledged yet."""
        return len(self._pending)

    def burst(self, count: int) -> None:
        """Send so many at once, besides; later where the load is held back."""
        if not self._going.is_set():
            self._owed += count
            return
        for _ in range(count):
            self._begin()

    async def hold(self, within: float) -> None:
        """Begin no more for now; returns once all is acknowledged, or after so many seconds."""
        self._going.clear()
        until = asyncio.get_running_loop().time() + within
        while self._pending and asyncio.get_running_loop().time() < until:
            await asyncio.wait(self._pending, timeout=1.0)

    def go_on(self) -> None:
        """Begin again."""
        self._going.set()
        owed, self._owed = self._owed, 0
        self.burst(owed)

    def stop(self) -> None:
        """Begin no more cases."""
        self._stopping.set()

    async def run(self, at_least: int = 0) -> None:
        """Send until `stop` is called and `at_least` cases have begun; returns once all is acknowledged."""
        self._producer = AIOKafkaProducer(
            **client_options(self._settings),
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=60_000,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        await self._producer.start()
        try:
            while not self._stopping.is_set() or len(self.sent) < at_least:
                await self._going.wait()
                self._begin()
                await asyncio.sleep(self._pause)
            while self._pending:
                await asyncio.wait(self._pending)
            if self._failed:
                raise self._failed
        finally:
            await self._producer.stop()

    def _begin(self) -> None:
        case = next(self._cases)
        self.sent.append(case)
        task = asyncio.create_task(self._send(case))
        self._pending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._pending.discard(task)
        self._failed = self._failed or task.exception()

    async def _send(self, case: Case) -> None:
        for message in case.messages:
            acknowledged = False
            while not acknowledged:
                acknowledged = await self._try(message)

    async def _try(self, message: Message) -> bool:
        key = message.key.encode()
        partition = partition_for(key, self._settings.partitions)
        if message.misplaced:
            partition = (partition + 1) % self._settings.partitions
        topic = self._settings.topic(message.topic)
        try:
            await self._producer.send_and_wait(topic, message.value, key=key, partition=partition)
        except KafkaError:
            await asyncio.sleep(_RETRY_AFTER)
            return False
        return True


__all__ = ["Load"]

"""Sends cases as fast as asked, through whatever happens to the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from load import Case, Message

from upshot.settings import Settings
from upshot.streams.partitions import partition_for

_RETRY_AFTER = 0.5


class Load:
    """Cases that were sent, each of their messages acknowledged."""

    def __init__(self, settings: Settings, cases: Iterator[Case], per_second: float) -> None:
        self._settings = settings
        self._cases = cases
        self._pause = 1 / per_second
        self.sent: list[Case] = []

    async def run(self, stop: asyncio.Event, at_least: int) -> None:
        """Send until `stop` is set and `at_least` cases are through."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_url,
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=60_000,
        )
        await producer.start()
        pending: set[asyncio.Task[None]] = set()
        try:
            while not stop.is_set() or len(self.sent) < at_least:
                case = next(self._cases)
                self.sent.append(case)
                task = asyncio.create_task(self._send(producer, case))
                pending.add(task)
                task.add_done_callback(pending.discard)
                await asyncio.sleep(self._pause)
            await asyncio.gather(*pending)
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, case: Case) -> None:
        for message in case.messages:
            acknowledged = False
            while not acknowledged:
                acknowledged = await self._try(producer, message)

    async def _try(self, producer: AIOKafkaProducer, message: Message) -> bool:
        partition = partition_for(message.key.encode(), self._settings.partitions)
        if message.misplaced:
            partition = (partition + 1) % self._settings.partitions
        topic = self._settings.topic(message.topic)
        try:
            await producer.send_and_wait(topic, message.value, key=message.key.encode(), partition=partition)
        except KafkaError:
            await asyncio.sleep(_RETRY_AFTER)
            return False
        return True

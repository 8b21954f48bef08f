"""Topics of one test on a real broker: send, let roles work in this process, and read what came out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from upshot.processors.correlate.handler import ROLE, join_app
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.groups import group_states
from upshot.streams.runtime import BatchApp, Timing
from upshot.streams.runtime.runner import run

MERGED = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
TIMING = Timing(tick_interval=0.05, poll_timeout=0.05)


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""
    deadline = monotonic() + 120
    while True:
        if condition():
            return
        assert monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


class Bench:
    """A broker's topics of one test: send, and read what came out."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.settings = settings
        self._producer = producer

    async def send(self, topic: str, event: dict[str, Any] | bytes, partition: int | None = None) -> None:
        value = event if isinstance(event, bytes) else json.dumps(event).encode()
        key = None if isinstance(event, bytes) else event[TOPICS[topic].key].encode()
        await self._producer.send_and_wait(self.settings.topic(topic), value, key=key, partition=partition)

    async def erase(self, topic: str, key: str) -> None:
        """A null record: what is known of the key is to be forgotten."""
        await self._producer.send_and_wait(self.settings.topic(topic), None, key=key.encode())

    async def wait(self, subject: str, **changed: Any) -> None:
        await self.send(
            "waits", {"run_id": "r1", "name": "merged", "subject": subject, "rule": MERGED} | changed
        )

    async def outcome(self, subject: str, merged: bool, partition: int | None = None, **changed: Any) -> None:
        event = {"type": "pr.closed", "subject": subject, "data": {"merged": merged}} | changed
        await self.send("outcomes", event, partition)

    async def read(self, topic: str, enough: Callable[[list[Any]], bool]) -> list[dict[str, Any]]:
        """All of a topic, from its beginning until `enough` says so."""
        consumer = AIOKafkaConsumer(
            self.settings.topic(topic),
            bootstrap_servers=self.settings.kafka_url,
            auto_offset_reset="earliest",
        )
        found: list[dict[str, Any]] = []
        try:
            await consumer.start()
            async with asyncio.timeout(120):
                while not enough(found):
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += [json.loads(record.value) for record in records]
        finally:
            await consumer.stop()
        return found

    async def defer(self, followup_id: str, scorer: str, data: Any = None, **changed: Any) -> None:
        event = {"followup_id": followup_id, "run_id": "r1", "scorer": scorer, "data": data}
        await self.send("deferrals", event | changed)

    async def scores(self, count: int) -> list[tuple[Any, ...]]:
        found = await self.read("scores", lambda scores: len(scores) >= count)
        return [(s["subject"], s["value"], s["reason"], s["revision"]) for s in found]

    async def worked_through(self, topic: str) -> None:
        """Return once the join has committed all of a topic."""
        name = self.settings.topic(topic)
        readers = {self.settings.app_id(ROLE): [name]}
        async with asyncio.timeout(120):
            while (await group_states(self.settings, readers))[0].total_lag:
                pass

    @asynccontextmanager
    async def worker(self, make: Callable[[Settings, Timing], BatchApp] = join_app) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(make(self.settings, TIMING), stop))
        try:
            yield
        finally:
            stop.set()
            code = await task
        assert code == 0

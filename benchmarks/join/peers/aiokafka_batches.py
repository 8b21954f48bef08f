"""The least that aiokafka can do the job with: lists in, one pass over a dict, whole batches out.

What a batch changes goes to the changelog once per key, as in Upshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic, time

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from place import BATCH_BYTES, COMMIT_INTERVAL, FETCH_BYTES, POLL_RECORDS, Moment, Place, place
from plain import Score, State, join

from upshot.streams.kafka.partitioner import partition_for

decode, encode = msgspec.json.decode, msgspec.json.encode
PARTITIONS = 4
Rows = Iterable[tuple[bytes, bytes]]


class Loop:
    """A consumer, a producer, and a dict between them."""

    def __init__(self, here: Place, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._here, self._consumer, self._producer = here, consumer, producer
        self._states: dict[bytes, State] = {}
        self._sent: list[asyncio.Future[object]] = []
        self._first = Moment(here.folder, "first")

    async def run(self) -> None:
        commit_at = monotonic() + COMMIT_INTERVAL
        while True:
            polled = await self._consumer.getmany(timeout_ms=100, max_records=POLL_RECORDS)
            for tp, records in polled.items():
                self._first.now()
                await self._take(tp.partition, records)
            if monotonic() >= commit_at:
                await asyncio.gather(*self._sent)
                self._sent.clear()
                await self._consumer.commit()
                commit_at = monotonic() + COMMIT_INTERVAL

    async def _take(self, partition: int, records: list[ConsumerRecord]) -> None:
        states, changed = self._states, {}
        scores: dict[int, list[Score]] = {}
        for record in records:
            key = record.key
            changed[key], score = join(states.get(key), decode(record.value))
            states[key] = changed[key]
            if score is not None:
                scores.setdefault(partition_for(score["run_id"].encode(), PARTITIONS), []).append(score)
        rows = ((key, encode(state)) for key, state in changed.items())
        await self._send(self._here.changelog, partition, rows)
        for to, found in scores.items():
            said = ((score["run_id"].encode(), encode(score)) for score in found)
            await self._send(self._here.scores, to, said)

    async def _send(self, topic: str, partition: int, rows: Rows) -> None:
        now = int(time() * 1000)
        batch = self._producer.create_batch()
        for key, value in rows:
            if batch.append(timestamp=now, key=key, value=value) is None:
                self._sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(timestamp=now, key=key, value=value)
        self._sent.append(await self._producer.send_batch(batch, topic, partition=partition))


async def main() -> None:
    here = place()
    consumer = AIOKafkaConsumer(
        here.waits,
        here.outcomes,
        bootstrap_servers=here.kafka,
        group_id=here.app,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=here.kafka,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        max_request_size=16 * BATCH_BYTES,
    )
    async with consumer, producer:
        await Loop(here, consumer, producer).run()


asyncio.run(main())

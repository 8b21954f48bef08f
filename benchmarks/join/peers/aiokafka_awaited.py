"""aiokafka as one first writes it: record by record, each send awaited, a dict as the table."""

from __future__ import annotations

import asyncio
from time import monotonic

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from place import BATCH_BYTES, COMMIT_INTERVAL, FETCH_BYTES, POLL_RECORDS, Moment, place
from plain import State, join

decode, encode = msgspec.json.decode, msgspec.json.encode


async def main() -> None:
    here = place()
    first = Moment(here.folder, "first")
    states: dict[bytes, State] = {}
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
        bootstrap_servers=here.kafka, acks="all", linger_ms=5, max_batch_size=BATCH_BYTES
    )
    async with consumer, producer:
        commit_at = monotonic() + COMMIT_INTERVAL
        while True:
            polled = await consumer.getmany(timeout_ms=100, max_records=POLL_RECORDS)
            for records in polled.values():
                first.now()
                for record in records:
                    states[record.key], score = join(states.get(record.key), decode(record.value))
                    changed = encode(states[record.key])
                    await producer.send(here.changelog, changed, record.key, record.partition)
                    if score is not None:
                        await producer.send(here.scores, encode(score), score["run_id"].encode())
            if monotonic() >= commit_at:
                await producer.flush()
                await consumer.commit()
                commit_at = monotonic() + COMMIT_INTERVAL


asyncio.run(main())

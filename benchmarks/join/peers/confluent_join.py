"""confluent-kafka: librdkafka's clients, record by record in Python, a dict as the table."""

from __future__ import annotations

from time import monotonic

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer
from place import COMMIT_INTERVAL, POLL_RECORDS, Moment, place
from plain import State, join

decode, encode = msgspec.json.decode, msgspec.json.encode


def main() -> None:
    here = place()
    first = Moment(here.folder, "first")
    states: dict[bytes, State] = {}
    broker = {"bootstrap.servers": here.kafka}
    group = {"group.id": here.app, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({**broker, **group})
    consumer.subscribe([here.waits, here.outcomes])
    queue = {"linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
    producer = Producer({**broker, **queue, "enable.idempotence": True})
    commit_at = monotonic() + COMMIT_INTERVAL
    moved = False
    while True:
        for message in consumer.consume(POLL_RECORDS, 0.1):
            if message.error():
                raise KafkaException(message.error())
            first.now()
            key = message.key()
            states[key], score = join(states.get(key), decode(message.value()))
            producer.produce(here.changelog, encode(states[key]), key, message.partition())
            if score is not None:
                producer.produce(here.scores, encode(score), score["run_id"])
            moved = True
        producer.poll(0)
        if moved and monotonic() >= commit_at:
            if producer.flush(60):
                raise RuntimeError("the broker has not acknowledged everything within a minute")
            consumer.commit(asynchronous=False)
            commit_at, moved = monotonic() + COMMIT_INTERVAL, False


main()

"""Events per second of the batch engine against stock Faust: same broker, same events, same job.

    python benchmarks/batch_room.py [--events 200000] [--stock-events 20000] [--rounds 1] [--kafka HOST:PORT]

The job: decode JSON, one table write per event, one output for every other event, offsets committed. Each
side runs in a process of its own, from its first record to its last; the topics are filled before. The engine
runs twice in each round: without metrics, and with metrics that somebody reads every second.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import resource
import statistics
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

from upshot.local.kafka import KafkaServer
from upshot.ops.telemetry.export import export_metrics
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchContext, Change, Effects, Output, batch_app
from upshot.streams.runtime.runner import run

PARTITIONS = 4
KEYS = 20_000
_decode = msgspec.json.decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--stock-events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kafka", help="an existing broker; otherwise one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = KafkaServer(Path(folder))
        if not options.kafka:
            server.start()
            server.wait_ready(120)
        try:
            measure(options.kafka or server.bootstrap, options.events, options.stock_events, options.rounds)
        finally:
            server.stop()


def measure(url: str, events: int, stock_events: int, rounds: int) -> None:
    source, out = asyncio.run(prepare(url, events))
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, job in (("batch room", run_room), ("with metrics", run_measured)):
            rates.setdefault(name, []).append(timed(name, job, url, source, out, events))
    plain, measured = (statistics.median(found) for found in rates.values())
    print(f"with metrics / without: {measured / plain:.3f}, medians of {rounds}")
    if stock_events:
        timed("stock Faust", run_stock, url, *asyncio.run(prepare(url, stock_events)), stock_events)


def timed(name: str, job: Callable[..., None], url: str, source: str, out: str, events: int) -> float:
    """Run one side; events per second."""
    answers: Any = multiprocessing.get_context("spawn").Queue()
    process = multiprocessing.get_context("spawn").Process(
        target=job, args=(url, source, out, events, answers)
    )
    process.start()
    seconds, cpu = answers.get()
    process.join()
    print(
        f"{name:12} {events:8} events {events / seconds:9,.0f}/s {cpu / events * 1e6:7.1f} CPU µs per event"
    )
    return float(events / seconds)


async def prepare(url: str, events: int) -> tuple[str, str]:
    source, out = (f"{stem}-{uuid.uuid4().hex[:8]}" for stem in ("bench-in", "bench-out"))
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (source, out)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=url, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    for n in range(events):
        await producer.send(source, key=b"subject-%d" % (n % KEYS), value=event(n))
    await producer.stop()
    return source, out


def event(n: int) -> bytes:
    return msgspec.json.encode(
        {
            "type": "pr.closed",
            "subject": f"subject-{n % KEYS}",
            "id": f"id-{n}",
            "n": n,
            "data": {"pad": "x" * 200},
        }
    )


class Clock:
    """From the first event to the last, with the CPU time of this process."""

    def __init__(self, events: int, answers: Any) -> None:
        self._left = events
        self._answers = answers
        self._start: tuple[float, float] | None = None

    def saw(self, count: int) -> None:
        self._start = self._start or (time.perf_counter(), cpu_seconds())
        self._left -= count

    @property
    def done(self) -> bool:
        return self._left <= 0

    def answer(self) -> None:
        assert self._start is not None
        self._answers.put((time.perf_counter() - self._start[0], cpu_seconds() - self._start[1]))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Job:
    """The job as a handler."""

    def __init__(self, source: str, out: str, clock: Clock, stop: asyncio.Event) -> None:
        self.topics = [source]
        self._out, self._clock, self._stop = out, clock, stop

    async def assigned(self, tps: frozenset[TP]) -> None: ...

    async def revoked(self, tps: frozenset[TP]) -> None: ...

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        effects = Effects()
        for tp, batch in batches.items():
            self._clock.saw(len(batch))
            changes = effects.changes.setdefault(tp.partition, {})
            for record in batch:
                decoded = _decode(record.value or b"")
                changes[record.key or b""] = Change(b"%d" % decoded["n"])
                if decoded["n"] % 2:
                    effects.outputs.append(Output(self._out, None, record.key, record.value))
        return effects

    async def tick(self) -> Effects:
        return Effects()

    async def flush(self) -> None:
        """Offsets are committed right after: outputs and changelog are acknowledged, the job is done."""
        if self._clock.done:
            self._clock.answer()
            self._stop.set()


def run_measured(url: str, source: str, out: str, events: int, answers: Any) -> None:
    telemetry = export_metrics(Settings(metrics_port=0), "bench", {})

    def read() -> None:
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{telemetry.port}/metrics") as page:
                page.read()
            time.sleep(1)

    threading.Thread(target=read, daemon=True).start()
    run_room(url, source, out, events, answers, Instruments("bench", telemetry.meter))


def run_room(
    url: str, source: str, out: str, events: int, answers: Any, instruments: Instruments | None = None
) -> None:
    async def work(folder: str) -> None:
        stop = asyncio.Event()
        settings = Settings(kafka_url=url, data_dir=Path(folder))

        def job(context: BatchContext) -> Job:
            return Job(source, out, Clock(events, answers), stop)

        app = batch_app(
            f"bench-{uuid.uuid4().hex[:8]}", settings, job, table_name="last", instruments=instruments
        )
        await run(app, stop)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(folder))


def run_stock(url: str, source: str, out: str, events: int, answers: Any) -> None:
    logging.disable(logging.CRITICAL)
    clock, ended = Clock(events, answers), asyncio.Event()
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{url}",
        store="memory://",
        topic_partitions=PARTITIONS,
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_disable_leader=True,
        key_serializer="raw",
        producer_partitioner=lambda key, all_, available: all_[(murmur2(key) & 0x7FFFFFFF) % len(all_)],
    )
    table = app.Table("last", default=int, partitions=PARTITIONS)
    results = app.topic(out, key_type=bytes, value_type=bytes, value_serializer="json")

    @app.agent(app.topic(source, key_type=bytes, value_serializer="json"))
    async def job(stream: Any) -> None:
        async for key, decoded in stream.items():
            clock.saw(1)
            table[key.decode()] = decoded["n"]
            if decoded["n"] % 2:
                await results.send(key=key, value=decoded)
            if clock.done:
                await app.producer.flush()
                await app.consumer.commit()
                clock.answer()
                ended.set()

    async def work() -> None:
        app.in_worker = True
        await app.start()
        await ended.wait()
        await app.stop()

    asyncio.run(work())


if __name__ == "__main__":
    main()

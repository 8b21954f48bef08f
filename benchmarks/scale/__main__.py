"""Many open waits on one machine: memory, disk, latency, simultaneous deadlines, recovery.

    python benchmarks/scale [--waits 1000000] [--expiring 100000] [--keep FOLDER
                            [--phases fill,recover,probe,…]]

Starts Kafka, writes the changelog of a worker that has so many open waits, and lets a worker recover from it,
with and without its tables on disk. Then measures one wait more, one outcome more, how the join goes on
while `--expiring` deadlines fall at one instant, and how soon a standby takes over. Needs confluent-kafka
(`make bench`). Exits with 1 where an answer is missing or a deadline wasn't judged once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filling import fill
from probing import Steady, Tail, latencies, told
from standby import take_over
from waits import OpenWaits, outcome_event, subject, wait_event
from worker import Worker, bytes_of

from upshot.local.kafka import KafkaServer
from upshot.processors.correlate.handler import ROLE, TABLE
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.runtime.table import changelog_name
from upshot.streams.runtime.topics import check_topics

PHASES = ("fill", "recover", "probe", "expire", "standby")
DAYS = 14
#: Events a second beside everything else, when latency is measured.
RATE = 200.0
#: Between the start of a worker and the instant when many deadlines fall, seconds; for each million more.
AHEAD, AHEAD_PER_MILLION = 40.0, 40.0


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waits", type=int, default=1_000_000, help="open waits (default 1,000,000)")
    parser.add_argument(
        "--expiring", type=int, default=100_000, help="of them at one instant (default 100,000)"
    )
    parser.add_argument("--keep", type=Path, help="work in this folder, and leave it")
    parser.add_argument("--phases", default=",".join(PHASES), help="with --keep, some at a time")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="upshot-scale-"))
    kafka = KafkaServer(folder, heap="768m", report=print)
    kafka.start()
    try:
        kafka.wait_ready(120)
        scale = Scale(folder, kafka.bootstrap, arguments.waits, arguments.expiring)
        scale.run(arguments.phases.split(","))
    finally:
        kafka.stop()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


class Scale:
    """A machine with so many open waits."""

    def __init__(self, folder: Path, url: str, waits: int, expiring: int) -> None:
        self._folder, self._url, self._waits, self._expiring = folder, url, waits, expiring
        self._settings = Settings(kafka_url=url, data_dir=folder)
        self._changelog = changelog_name(self._settings.app_id(ROLE), TABLE)
        self._worker = Worker(self._settings, folder)

    def run(self, phases: Sequence[str]) -> None:
        """Run these phases in sequence; each phase begins with the state left by the phase before."""
        try:
            for phase in phases:
                getattr(self, f"_{phase}")()
                self._worker.stop()
        finally:
            self._worker.stop()

    def _recover(self) -> None:
        self._worker.forget()
        self._start("an empty disk, from the changelog")
        self._size()

    def _probe(self) -> None:
        self._start("its tables, after a stop")
        self._latency()
        self._worker.kill()
        self._start("its tables, after kill -9")

    def _fill(self) -> None:
        asyncio.run(ensure_topics(self._settings))
        topics = [self._settings.topic(name) for name in ("outcomes", "waits")]
        asyncio.run(check_topics(self._settings, topics, self._changelog))
        spread = [
            OpenWaits(datetime.now(UTC) + timedelta(days=DAYS, minutes=n), self._settings) for n in range(997)
        ]
        began = time.monotonic()
        values = ((subject(n).encode(), spread[n % 997].value(n)) for n in range(self._waits))
        fill(self._url, self._changelog, self._settings.partitions, values)
        log = sum(bytes_of(path) for path in (self._folder / "kafka").rglob(f"{self._changelog}-*"))
        say(
            f"{self._waits:,} open waits in the changelog: {log / 1e9:.2f} GB, {log / self._waits:.0f} bytes "
            "each"
        )
        say(f"  one value has {len(spread[0].value(1))} bytes; written in {time.monotonic() - began:.0f} s")

    def _start(self, what: str) -> None:
        spent = self._worker.start()
        now, peak = self._worker.rss()
        say(f"start with {what}: works after {spent:.1f} s, {self._worker.cpu():.1f} s of CPU; {load()}")
        say(f"  {self._worker.recovered()}")
        say(f"  resident {now / 1e6:.0f} MB, at the most {peak / 1e6:.0f} MB")

    def _size(self) -> None:
        disk = bytes_of(self._settings.tables)
        now, _ = self._worker.rss()
        say(
            f"tables: {disk / 1e9:.2f} GB on disk, {disk / self._waits:.0f} bytes a wait; "
            f"memory {now / self._waits:.0f} bytes a wait"
        )

    def _latency(self) -> None:
        opened = self._timed("waits", self._changelog, range(self._waits, self._waits + 2000), self._opening)
        say(f"one wait more, sent to durable, {RATE:.0f}/s: {told(opened)}; {load()}")
        stride = max(1, self._waits // 2000)
        answered = range(self._expiring, self._waits, stride)[:2000]
        scored = self._timed("outcomes", self._settings.topic("scores"), answered, self._deciding)
        say(f"outcome of any of them, sent to its score, {RATE:.0f}/s: {told(scored)}; {load()}")

    def _timed(self, topic: str, seen_in: str, numbers: range, event: object) -> list[float]:
        partitions = self._settings.partitions
        tail = Tail(self._url, seen_in, partitions)
        steady = Steady(self._url, self._settings.topic(topic), partitions)
        steady.send(numbers, RATE, event)  # type: ignore[arg-type]
        found = latencies(steady.sent, tail)
        tail.close()
        return found

    def _opening(self, number: int) -> tuple[bytes, bytes, bytes]:
        key = subject(number).encode()
        return key, key, wait_event(number, datetime.now(UTC) + timedelta(days=DAYS))

    def _deciding(self, number: int) -> tuple[bytes, bytes, bytes]:
        return f"run-{number:09d}".encode(), subject(number).encode(), outcome_event(number)

    def _expire(self) -> None:
        """Move the deadlines of some waits to the same instant, as a former owner would have, and watch."""
        ahead = AHEAD + AHEAD_PER_MILLION * self._expiring / 1e6
        falls = datetime.now(UTC) + timedelta(seconds=ahead)
        waits = OpenWaits(falls, self._settings)
        values = ((subject(n).encode(), waits.value(n)) for n in range(self._expiring))
        fill(self._url, self._changelog, self._settings.partitions, values)
        self._start(f"its tables, {self._expiring:,} changes behind")
        partitions = self._settings.partitions
        tail = Tail(self._url, self._settings.topic("scores"), partitions, b'"reason":"deadline"')
        steady = Steady(self._url, self._settings.topic("outcomes"), partitions)
        arrivals = self._arrivals()
        before, during = [], []
        while tail.counted < self._expiring:
            self._second(steady, arrivals, before if tail.counted == 0 else during)
            if tail.counted == 0 and datetime.now(UTC) > falls + timedelta(seconds=120):
                raise SystemExit("no deadline was judged")
        spent = time.time() - falls.timestamp() - self._settings.deadline_grace.total_seconds()
        latencies(steady.sent, tail)
        time.sleep(2)
        if tail.counted != self._expiring:
            raise SystemExit(f"{tail.counted} scores for {self._expiring} deadlines")
        say(
            f"{self._expiring:,} deadlines at one instant: the last judged {spent:.1f} s later, "
            f"{self._expiring / spent:,.0f} a second; {load()}"
        )
        for what, names in (("before", before), ("meanwhile", during)):
            if names:
                found = sorted(tail.seen[name] - steady.sent[name] for name in names)
                say(f"  outcome to score {what}, {RATE:.0f}/s: {told(found)}")
        now, peak = self._worker.rss()
        say(
            f"  resident {now / 1e6:.0f} MB, at the most {peak / 1e6:.0f} MB; tables "
            f"{bytes_of(self._settings.tables) / 1e9:.2f} GB"
        )
        tail.close()

    def _standby(self) -> None:
        arrivals = self._arrivals(from_the_end=True)
        take_over(self._settings, self._folder, RATE, lambda: self._deciding(next(arrivals)), say)

    def _arrivals(self, *, from_the_end: bool = False) -> Iterator[int]:
        """Waits neither expiring nor answered."""
        stride = max(1, self._waits // 2000)
        numbers = range(self._expiring, self._waits)
        chosen = reversed(numbers) if from_the_end else numbers
        return (number for number in chosen if (number - self._expiring) % stride)

    def _second(self, steady: Steady, arrivals: Iterator[int], into: list[bytes]) -> None:
        numbers = [next(arrivals) for _ in range(int(RATE))]
        steady.send(range(len(numbers)), RATE, lambda index: self._deciding(numbers[index]))
        into += [self._deciding(number)[0] for number in numbers]


def load() -> str:
    """How busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f}"


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

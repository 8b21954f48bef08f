"""A steady load with horizons of seconds: memory and disk must stay where they are.

    python benchmarks/scale/soak.py [--minutes 15] [--rate 400] [--horizon 2]

Every wait is open for a horizon, kept for another, and gone; half of them get an outcome, and as many
outcomes come that nobody waits for. Prints a line twice a minute, and how each figure changes in the second
half of the time. The result doesn't depend on other load of the machine. Needs confluent-kafka
(`make bench`).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

from aiokafka.admin import NewTopic
from probing import Steady, Tail
from waits import outcome_event, subject, wait_event
from worker import Worker, bytes_of

from upshot.local.kafka import KafkaServer
from upshot.processors.correlate.handler import ROLE, TABLE
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.runtime.table import changelog_name
from upshot.streams.runtime.topics import CHANGELOG_CONFIG

#: The changelog is compacted every few seconds, as it would be over days.
QUICK_LOG = {
    "segment.ms": "20000",
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "20000",
    "delete.retention.ms": "5000",
}
LOOK_EVERY = 30.0


class Sample(NamedTuple):
    """A sample: seconds since the start, and MB."""

    at: float
    asked: int
    scored: int
    resident: float
    tables: float
    changelog: float


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15.0, help="how long (default 15)")
    parser.add_argument("--rate", type=float, default=400.0, help="waits per second (default 400)")
    parser.add_argument("--horizon", type=int, default=2, help="seconds of each horizon (default 2)")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="upshot-soak-"))
    kafka = KafkaServer(folder, heap="512m", report=print)
    kafka.start()
    try:
        kafka.wait_ready(120)
        samples = soak(folder, kafka.bootstrap, arguments)
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)
    conclude(samples[len(samples) // 2 :], arguments.horizon)
    return 0


def soak(folder: Path, url: str, arguments: argparse.Namespace) -> list[Sample]:
    """Load a worker for so long; two samples a minute."""
    settings = Settings(kafka_url=url, data_dir=folder)
    changelog = changelog_name(settings.app_id(ROLE), TABLE)
    asyncio.run(topics(settings, changelog))
    horizon = f"PT{arguments.horizon}S"
    worker = Worker(
        settings,
        folder,
        environment={
            "UPSHOT_LOOK_BACK": horizon,
            "UPSHOT_SETTLED_RETENTION": horizon,
            "UPSHOT_DEADLINE_GRACE": "PT0S",
        },
    )
    worker.start()
    tail = Tail(url, settings.topic("scores"), settings.partitions, b'"revision":1,')
    load = Load(settings, arguments.rate, arguments.horizon)
    samples: list[Sample] = []
    began = time.monotonic()
    try:
        while (spent := time.monotonic() - began) < arguments.minutes * 60:
            load.run_for(LOOK_EVERY)
            place = folder / "kafka"
            found = Sample(
                spent + LOOK_EVERY,
                load.asked,
                tail.counted,
                worker.rss()[0] / 1e6,
                bytes_of(settings.tables) / 1e6,
                sum(bytes_of(path) for path in place.rglob(f"{changelog}-*")) / 1e6,
            )
            samples.append(found)
            sys.stdout.write(
                f"{found.at:6.0f} s  {found.asked:9,} waits  {found.scored:9,} scored  resident "
                f"{found.resident:6.1f} MB  tables {found.tables:6.1f} MB  changelog {found.changelog:6.1f} "
                "MB\n"
            )
            sys.stdout.flush()
    finally:
        worker.stop()
        tail.close()
    return samples


async def topics(settings: Settings, changelog: str) -> None:
    """The system's, and the changelog with a quick compaction."""
    await ensure_topics(settings)
    async with admin_client(settings) as admin:
        config = CHANGELOG_CONFIG | QUICK_LOG
        await admin.create_topics([NewTopic(changelog, settings.partitions, 1, topic_configs=config)])


class Load:
    """Waits at a steady rate; outcomes for half of them, and as many for nobody."""

    def __init__(self, settings: Settings, rate: float, horizon: int) -> None:
        places = [
            Steady(settings.kafka_url, settings.topic(name), settings.partitions)
            for name in ("waits", "outcomes")
        ]
        self._waits, self._outcomes = places
        self._rate, self._horizon = rate, horizon
        self._numbers = count()
        self.asked = 0

    def run_for(self, seconds: float) -> None:
        """Send for so long, remembering nothing."""
        numbers = [next(self._numbers) for _ in range(int(seconds * self._rate))]
        beside = threading.Thread(target=self._answer, args=(numbers,))
        beside.start()
        self._waits.send(range(len(numbers)), self._rate, lambda index: self._asking(numbers[index]))
        beside.join()
        self.asked += len(numbers)
        self._waits.sent.clear()
        self._outcomes.sent.clear()

    def _answer(self, numbers: list[int]) -> None:
        self._outcomes.send(range(len(numbers)), self._rate, lambda index: _answering(numbers[index]))

    def _asking(self, number: int) -> tuple[bytes, bytes, bytes]:
        now = datetime.now(UTC)
        key = subject(number).encode()
        return key, key, wait_event(number, now + timedelta(seconds=self._horizon), now)


def _answering(number: int) -> tuple[bytes, bytes, bytes]:
    """Every other outcome is for nobody."""
    number = number if number % 2 else number + 400_000_000
    key = subject(number).encode()
    return key, key, outcome_event(number)


def conclude(samples: list[Sample], horizon: int) -> None:
    """How each figure changes, by a line through the samples."""
    seconds = [sample.at for sample in samples]
    for name in ("resident", "tables", "changelog"):
        values = [getattr(sample, name) for sample in samples]
        slope = linear_regression(seconds, values).slope
        mean = sum(values) / len(values)
        sys.stdout.write(
            f"{name}: {mean:.1f} MB on average, {min(values):.1f} to {max(values):.1f}, "
            f"{slope * 3600:+.1f} MB an hour, {slope * horizon * 1000:+.2f} MB in a thousand horizons\n"
        )


if __name__ == "__main__":
    sys.exit(main())

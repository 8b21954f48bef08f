"""A measurement: topics filled, a system run over them in a process of its own, its answers checked."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from broker import Ends, count_keys, is_committed, prepare, read_values, remove_topics
from events import Events
from systems import System
from usage import cpu_seconds, peak_rss
from verdict import Verdict, compare

from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client

LOOK = 0.02
#: Seconds for a system to commit everything; then it has failed.
LIMIT = 600.0


@dataclass(frozen=True)
class Measured:
    """A run of a system. Seconds run from its first record to everything committed.

    `cpu` and `broker_cpu` are CPU seconds in that time, `rss` is its peak in bytes over its whole life.
    `keys` says how many subjects its changelog holds in the end; None where it keeps none in Kafka. `failure`
    says why there are no figures.
    """

    system: str
    events: int
    seconds: float = 0.0
    cpu: float = 0.0
    broker_cpu: float = 0.0
    rss: int = 0
    keys: int | None = None
    subjects: int = 0
    verdict: Verdict | None = None
    failure: str | None = None

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds

    @property
    def is_right(self) -> bool:
        """Every score is there, once and right, and the state of every subject is in the changelog."""
        return self.verdict is not None and self.verdict.is_right and self.keys in (None, self.subjects)


@dataclass(frozen=True)
class Usage:
    """The figures of /proc, and their time."""

    at: float
    cpu: float
    rss: int
    broker_cpu: float


class SystemFailed(Exception):
    """The system ended, or did not come to an end: no figures."""


def measure(system: System, events: Events, kafka: KafkaServer, folder: Path, app: str) -> Measured:
    """Fill fresh topics named after `app`, run the system over them, check its scores,
    remove the topics.
    """
    home = folder / app
    home.mkdir(parents=True)
    settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"{app}.", data_dir=home)
    changelog = system.changelog.format(app=app) if system.changelog else None
    ends = asyncio.run(prepare(settings, events, None if system.makes_changelog else changelog))
    part = ProcessPart(system.name, system.command(kafka.bootstrap, app, home), home)
    try:
        part.start()
        first, last = asyncio.run(_watch(system, part, kafka, settings, ends, home))
    except SystemFailed as error:
        return Measured(system.name, events.count, failure=str(error))
    finally:
        part.stop(5)
    scores = asyncio.run(read_values(settings, settings.topic("scores")))
    keys = asyncio.run(count_keys(settings, changelog)) if changelog else None
    asyncio.run(remove_topics(settings))
    shutil.rmtree(home)
    return Measured(
        system.name,
        events.count,
        seconds=last.at - first.at,
        cpu=last.cpu - first.cpu,
        broker_cpu=last.broker_cpu - first.broker_cpu,
        rss=last.rss,
        keys=keys,
        subjects=events.subjects,
        verdict=compare(events.truth, scores),
    )


async def _watch(
    system: System, part: ProcessPart, kafka: KafkaServer, settings: Settings, ends: Ends, home: Path
) -> tuple[Usage, Usage]:
    """The use at the first record, and at the commit of everything."""
    deadline = time.monotonic() + LIMIT
    await _until(lambda: (home / "first").exists(), part, deadline)
    seen = _usage(part, kafka)
    async with admin_client(settings) as admin:
        if system.group is None:
            await _until(lambda: (home / "committed").exists(), part, deadline)
        else:
            group = system.group.format(app=settings.topic_prefix.rstrip("."))
            while not await is_committed(admin, group, ends):
                await _pause(part, deadline)
    last = _usage(part, kafka)
    told = json.loads((home / "first").read_text())
    cpu = told["cpu"] if system.processes == 1 else seen.cpu
    return replace(seen, at=told["at"], cpu=cpu), last


def _usage(part: ProcessPart, kafka: KafkaServer) -> Usage:
    return Usage(time.monotonic(), cpu_seconds(part.pid), peak_rss(part.pid), cpu_seconds(kafka.pid))


async def _until(done: Callable[[], bool], part: ProcessPart, deadline: float) -> None:
    while not done():
        await _pause(part, deadline)


async def _pause(part: ProcessPart, deadline: float) -> None:
    if not part.alive():
        raise SystemFailed(f"{part.last_end()}. {part.log_tail()}")
    if time.monotonic() > deadline:
        raise SystemFailed(f"did not commit everything within {LIMIT:.0f} s. {part.log_tail()}")
    await asyncio.sleep(LOOK)

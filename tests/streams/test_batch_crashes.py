"""Workers as processes: killed, stopped, frozen; the broker killed below them. Nothing may be lost."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from upshot.local.kafka import KafkaServer
from upshot.streams.kafka.groups import group_states
from upshot.streams.state import unframe

pytestmark = pytest.mark.stack

KEYS = 200
PER_KEY = 100


def numbered(start: int, end: int, keys: int = KEYS) -> list[tuple[int, bytes, bytes]]:
    return [(key % 4, b"key%d" % key, b"%d" % n) for n in range(start, end) for key in range(keys)]


async def check_outputs(bench: Any, out: str, per_key: int = PER_KEY, keys: int = KEYS) -> int:
    """Every record was tallied, once in effect. Returns how many outputs were said again."""
    said: dict[bytes, set[bytes]] = defaultdict(set)
    records = await bench.read(out)
    for record in records:
        said[record.key].add(record.value)
    wanted = {b"%d:%d" % (n, n * (n + 1) // 2) for n in range(per_key)}
    assert set(said) == {b"key%d" % key for key in range(keys)}
    assert all(values == wanted for values in said.values())
    return len(records) - keys * per_key


async def ends_with_the_last_owner(bench: Any, changelog: str) -> bool:
    """Whether the last value of each key is the one of the newest generation."""
    last: dict[bytes, tuple[int, int]] = {}
    highest: dict[bytes, tuple[int, int]] = {}
    for record in await bench.read(changelog):
        if record.value is None:
            # The owner had not come to this key yet, when it found that another had written it.
            last.pop(record.key)
            continue
        generation, number, _ = map(int, unframe(record.value).value.split(b":"))
        last[record.key] = (generation, number)
        highest[record.key] = max(highest.get(record.key, (-1, -1)), last[record.key])
    return last == highest


async def all_committed(bench: Any, group: str, source: str) -> bool:
    return bool(await bench.committed(group, source) == await bench.ends(source))


def text(log: Path) -> str:
    return log.read_text() if log.exists() else ""


class Setup:
    """Topics of one tally, and its processes."""

    def __init__(self, bench: Any, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    async def topics(self) -> None:
        self.source = await self.bench.topic("in", 4)
        self.out = await self.bench.topic("out", 4)
        self.group = self.bench.name("tally")
        self.changelog = f"{self.group}-tally-changelog"

    def start(self, name: str = "worker", records: int = 500, worker_id: str = "") -> subprocess.Popen[bytes]:
        worker: subprocess.Popen[bytes] = self.bench.spawn(
            self.group, self.source, self.out, str(records), worker_id, log=self.log(name)
        )
        self.running.append(worker)
        return worker

    def log(self, name: str = "worker") -> Path:
        return self.folder / f"{name}.log"

    def end(self) -> None:
        for worker in self.running:
            worker.kill()
            worker.wait()

    async def check(self, per_key: int = PER_KEY) -> int:
        again = await check_outputs(self.bench, self.out, per_key)
        assert await self.is_ours()
        return again

    async def is_ours(self) -> bool:
        return await ends_with_the_last_owner(self.bench, self.changelog)


@pytest.fixture
async def tally(bench: Any, tmp_path: Path) -> Any:
    setup = Setup(bench, tmp_path)
    await setup.topics()
    yield setup
    setup.end()


async def test_kill_9_at_random_points_loses_nothing(tally: Any, until: Any) -> None:
    chance = random.Random(20)
    feeding = asyncio.create_task(feed_slowly(tally, PER_KEY))
    for _ in range(6):
        worker = tally.start()
        await until(lambda: "works on 4" in text(tally.log()))
        reached = sum((await tally.bench.ends(tally.out)).values())
        more = chance.randrange(1, 3000)
        await until(lambda: feeding.done() or moved_on(tally, reached + more))  # noqa: B023
        worker.kill()
        worker.wait()
        tally.log().unlink()
    await feeding
    worker = tally.start()
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    await tally.check()


async def feed_slowly(tally: Any, per_key: int) -> None:
    """So that workers are killed under way, with some of it read and some to come."""
    for n in range(per_key):
        await tally.bench.fill(tally.source, numbered(n, n + 1))
        await asyncio.sleep(0.1)


async def moved_on(tally: Any, to: int) -> bool:
    return sum((await tally.bench.ends(tally.out)).values()) >= to


async def test_sigterm_commits_and_leaves_at_once(tally: Any, until: Any) -> None:
    await tally.bench.fill(tally.source, numbered(0, PER_KEY))
    worker = tally.start()
    await until(lambda: moved_on(tally, 5_000))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    # What was said was committed: the next worker says none of it again, and waits for no session to end.
    second = tally.start("second")
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    second.send_signal(signal.SIGINT)
    assert second.wait(30) == 0
    assert await tally.check() == 0
    assert "Traceback" not in text(tally.log()) + text(tally.log("second"))


async def test_two_workers_share_and_take_over(tally: Any, until: Any) -> None:
    feeding = asyncio.create_task(feed_slowly(tally, 60))
    first = tally.start("first")
    await until(lambda: moved_on(tally, 1_000))
    second = tally.start("second")
    await until(lambda: "works on 2" in text(tally.log("second")))
    await until(lambda: "works on 2" in text(tally.log("first")))
    first.kill()
    await until(lambda: "works on 4" in text(tally.log("second")))
    await feeding
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    await tally.check(60)


async def test_a_named_worker_is_back_before_others_hear_of_it(tally: Any, until: Any) -> None:
    feeding = asyncio.create_task(feed_slowly(tally, 60))
    other = tally.start("other", worker_id="other")
    await until(lambda: "works on 4" in text(tally.log("other")))
    killed = tally.start("killed", worker_id="killed")
    await until(lambda: "works on 2" in text(tally.log("other")))
    await until(lambda: "works on 2" in text(tally.log("killed")))
    killed.kill()
    killed.wait()
    again = tally.start("again", worker_id="killed")
    await until(lambda: "works on 2" in text(tally.log("again")))
    assert text(tally.log("other")).count("revoked") == 1
    await feeding
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    again.send_signal(signal.SIGTERM)
    assert again.wait(30) == 0
    assert await members(tally) == 1, "it has not left"
    other.send_signal(signal.SIGTERM)
    assert other.wait(30) == 0
    assert await members(tally) == 0
    await tally.check(60)


async def members(tally: Any) -> int:
    (group,) = await group_states(tally.bench.settings, {tally.group: [tally.source]})
    return int(group.members)


async def test_a_frozen_worker_writes_nothing_over_its_successor(tally: Any, until: Any) -> None:
    """What it was writing when it froze may come late: then the successor's next commit puts that right."""
    feeding = asyncio.create_task(feed_slowly(tally, 80))
    frozen = tally.start("frozen")
    await until(lambda: moved_on(tally, 1_000))
    frozen.send_signal(signal.SIGSTOP)
    tally.start("successor")
    await until(lambda: "works on 4" in text(tally.log("successor")))
    reached = sum((await tally.bench.ends(tally.out)).values())
    await until(lambda: moved_on(tally, reached + 1_000))
    frozen.send_signal(signal.SIGCONT)
    await until(lambda: "works on 2" in text(tally.log("frozen")))
    await feeding
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    await until(tally.is_ours)
    await tally.check(80)


@pytest.fixture
async def own_broker(bench: Any, tmp_path: Path) -> Any:
    """A tally on a broker that may be killed."""
    kafka = KafkaServer(tmp_path / "own")
    kafka.start()
    kafka.wait_ready(120)
    setup = Setup(type(bench)(kafka, tmp_path), tmp_path)
    await setup.topics()
    yield setup
    setup.end()
    kafka.stop()


async def test_a_broker_that_is_restarted_is_waited_for(own_broker: Any, until: Any) -> None:
    tally, kafka = own_broker, own_broker.bench.kafka
    worker = tally.start()
    await tally.bench.fill(tally.source, numbered(0, 30))
    await until(lambda: moved_on(tally, 1_000))
    kafka.kill()
    await until(lambda: "Kafka does not answer" in text(tally.log()))
    kafka.start()
    kafka.wait_ready(120)
    await tally.bench.fill(tally.source, numbered(30, 40))
    await until(lambda: all_committed(tally.bench, tally.group, tally.source))
    await until(lambda: "Kafka answers again" in text(tally.log()))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    await tally.check(40)
    assert "Traceback" not in text(tally.log())


async def test_without_a_broker_a_worker_waits_and_still_stops(own_broker: Any, until: Any) -> None:
    tally, kafka = own_broker, own_broker.bench.kafka
    early = tally.start("early")
    await until(lambda: "works on 4" in text(tally.log("early")))
    kafka.kill()
    late = tally.start("late")
    await until(lambda: "no Kafka broker answers" in text(tally.log("late")))
    await until(lambda: "Kafka does not answer" in text(tally.log("early")))
    for worker in (early, late):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    assert "Traceback" not in text(tally.log("early")) + text(tally.log("late"))

"""How long a bad outcome takes to become an alert and a webhook, also through restarts of the roles.

    python -m benchmarks.alerts [--rates 10,1000] [--seconds 20] [--replayed 200000] [--kills 5]

Starts the real Kafka, the join, the roles `alerts` and `notifications`, and a receiver over HTTP in this
process. Time counts from handing the outcome to the producer until a consumer has its alert, and until the
receiver has its webhook. Then one role after the other is killed while outcomes come, again and again: each
bad outcome must have one alert, under the id that follows from its score alone. At last so many bad scores of
last month are written, as a replay writes them: none may be one that receivers are notified of.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from os import kill
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from benchmarks.alerts.kills import Receiver, receivers_environment
from benchmarks.broker import broker_with_topics
from upshot.alerts.scored import alert_id
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.settings import Settings
from upshot.streams.kafka.producer import event_producer

RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
PATIENCE = 120.0


def role(name: str, folder: Path, environment: dict[str, str]) -> ProcessPart:
    """A worker's process, started; with the same environment it is the same member of its group."""
    part = ProcessPart(name, role_command(name), folder, environment)
    part.start()
    return part


class Measured:
    """What was sent, and the alerts that came of it."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self._settings = settings
        self._receiver = receiver
        self.sent: dict[str, float] = {}
        self.seen: dict[str, float] = {}
        self.ids: dict[str, set[str]] = {}
        self.scores: dict[str, str] = {}
        self.loud = self.silent = 0
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Read alerts until cancelled."""
        topic = self._settings.topic("alerts")
        options: dict[str, Any] = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 5}
        async with AIOKafkaConsumer(topic, bootstrap_servers=self._settings.kafka_url, **options) as consumer:
            async for record in consumer:
                alert = msgspec.json.decode(record.value)
                run = alert["run_id"]
                self.seen.setdefault(run, time.perf_counter())
                self.ids.setdefault(run, set()).add(alert["alert_id"])
                self.scores[run] = alert["score_id"]
                self.loud += not alert["silent"]
                self.silent += bool(alert["silent"])
                self._news.set()

    async def load(self, producer: Any, label: str, count: int, rate: float) -> list[str]:
        """So many waits, and their bad outcomes, at a rate."""
        runs = [f"{label}-{number}" for number in range(count)]
        for run in runs:
            wait = {"run_id": run, "name": "merged", "subject": f"pr:{run}", "wait_id": run, "rule": RULE}
            await producer.send("waits", msgspec.json.encode(wait), key=f"pr:{run}")
        await asyncio.sleep(2)
        began = time.perf_counter()
        for number, run in enumerate(runs):
            if (ahead := began + number / rate - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            event = {"type": "pr.closed", "id": run, "subject": f"pr:{run}", "data": {"merged": False}}
            self.sent[run] = time.perf_counter()
            await producer.send("outcomes", msgspec.json.encode(event), key=f"pr:{run}")
        return runs

    async def all_seen(self, runs: list[str]) -> None:
        """Until each has an alert and a webhook. Raises TimeoutError where one has none."""
        async with asyncio.timeout(PATIENCE):
            while not all(run in self.seen for run in runs):
                await self.changed()
        await self._receiver.has(len(self.seen), PATIENCE)

    async def changed(self) -> None:
        """Until there are more alerts."""
        self._news.clear()
        await self._news.wait()

    def verify(self) -> None:
        """Print how many outcomes have no alert, several, or one under another id."""
        lost = sum(run not in self.seen for run in self.sent)
        twice = sum(len(ids) != 1 for ids in self.ids.values())
        prefix, wrong = self._settings.topic_prefix, 0
        for run, ids in self.ids.items():
            wrong += {alert_id(prefix, "bad", self.scores[run])} != ids
        print(
            f"{len(self.sent):,} outcomes: {lost} without an alert, {twice} with two ids, {wrong} wrong ids"
        )

    def say(self, label: str, runs: list[str]) -> None:
        """Print the times of these runs."""
        posted = {run: self._receiver.first[next(iter(self.ids[run]))] for run in runs}
        for what, came in (("alert", self.seen), ("webhook", posted)):
            times = sorted(came[run] - self.sent[run] for run in runs)
            middle, high = times[len(times) // 2], times[int(len(times) * 0.99)]
            found = f"p50 {middle:.3f} s, p99 {high:.3f} s, longest {times[-1]:.3f} s, n {len(times):,}"
            print(f"{label}, to the {what}: {found}", flush=True)


async def measure(
    settings: Settings, folder: Path, arguments: argparse.Namespace, cleanup: ExitStack
) -> None:
    """All of it, printed."""
    receiver = Receiver()
    await receiver.start()
    measured = Measured(settings, receiver)
    rule = {"name": "bad", "kind": "score", "score": "merged", "equals": False, "cap": 2**31 - 1}
    rule |= {"notify": ["one"], "changed_at": datetime.now(UTC).isoformat()}
    async with event_producer(settings) as producer:
        await producer.send("alert-rules", msgspec.json.encode(rule), key="bad")
        cleanup.callback(role("correlate", folder, role_environment(settings)).stop)
        environments = {"alerts": role_environment(settings)}
        environments["notifications"] = role_environment(settings) | receivers_environment({"one": receiver})
        roles = {name: role(name, folder, environment) for name, environment in environments.items()}
        following = asyncio.create_task(measured.follow())
        await measured.all_seen(await measured.load(producer, "warm", 200, 50))
        for rate in map(float, arguments.rates.split(",")):
            runs = await measured.load(producer, f"rate{rate:g}", int(rate * arguments.seconds), rate)
            await measured.all_seen(runs)
            measured.say(f"{rate:g} bad outcomes a second", runs)
        for name, environment in environments.items():
            everything: list[str] = []
            for number in range(arguments.kills):
                label = f"{name}{number}"
                loading = asyncio.create_task(measured.load(producer, label, 400, 100))
                await asyncio.sleep(4)
                kill(roles[name].pid, signal.SIGKILL)
                roles[name].stop()
                roles[name] = role(name, folder, environment)
                everything += await loading
                await measured.all_seen(everything)
            if everything:
                measured.say(f"through {arguments.kills} kills of {name}", everything)
        measured.verify()
        await replay(measured, producer, arguments.replayed)
        following.cancel()
    for part in roles.values():
        part.stop()
    await receiver.stop()


async def replay(measured: Measured, producer: Any, count: int) -> None:
    """Bad scores of last month, as a replay or a backfill writes them."""
    old = (datetime.now(UTC) - timedelta(days=30)).isoformat()
    before, loud, began = measured.silent, measured.loud, time.perf_counter()
    for number in range(count):
        score = {"score_id": f"old{number}", "run_id": f"old{number}", "name": "merged", "value": False}
        score |= {"reason": "outcome", "occurred_at": old, "decided_at": old}
        await producer.send("scores", msgspec.json.encode(score), key=f"old{number}")
    async with asyncio.timeout(PATIENCE * 10):
        while measured.silent - before < count:
            await measured.changed()
    took = time.perf_counter() - began
    print(f"{count:,} bad scores replayed in {took:.1f} s: {measured.loud - loud} to be sent")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="10,1000", help="bad outcomes a second (default 10,1000)")
    parser.add_argument("--seconds", type=float, default=20, help="at each rate (default 20)")
    parser.add_argument("--replayed", type=int, default=200_000, help="scores replayed (default 200,000)")
    parser.add_argument("--kills", type=int, default=5, help="kills of each role (default 5)")
    arguments = parser.parse_args()
    with broker_with_topics() as (settings, _), ExitStack() as cleanup:
        asyncio.run(measure(settings, settings.data_dir, arguments, cleanup))


if __name__ == "__main__":
    main()

"""Kills of the roles `alerts` and `notifications`, of the broker and of a receiver, under load; then an
oracle.

    python -m benchmarks.alerts.kills [--kills 200] [--rate 40] [--gap 4] [--seed 1]

Starts the real Kafka, both roles, and two receivers over HTTP in this process. Bad scores come at a rate, and
a third of them is corrected by a good revision. Meanwhile one part after the other is ended by SIGKILL (a
receiver: by closing its connections and its port), and comes back. When all is quiet the oracle compares:

- lost: bad scores without an alert, and alerts that a receiver has not got;
- twice: a state of an alert that a receiver got under two ids;
- wrong: an alert under an id that doesn't follow from its score, or in another state than its score's, at
  the topic or at a receiver.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import kill
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from benchmarks.broker import broker_with_topics
from upshot.alerts.scored import alert_id
from upshot.errors import PartFailed, UpshotError
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.schemas.ids import fact_id
from upshot.settings import Settings
from upshot.streams.kafka.producer import delivered, event_producer

RULE = "bad"
RECEIVERS = ("one", "two")
SECRET = "whsec_" + b64encode(bytes(32)).decode()
#: Seconds until all is quiet, and of quiet.
PATIENCE, QUIET = 300.0, 8.0
#: How often each part is killed, in proportion.
WEIGHTS = {"alerts": 4, "notifications": 4, "receiver": 1, "kafka": 1}


class Receiver:
    """A receiver over HTTP that can be gone: what came, in order, by alert."""

    def __init__(self) -> None:
        self.came: dict[str, list[tuple[str, str]]] = defaultdict(list)
        #: When each alert came first.
        self.first: dict[str, float] = {}
        self.posts = 0
        self.last = time.monotonic()
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._arrival = asyncio.Event()

    async def start(self) -> None:
        """Listen, at the port of before."""
        app = web.Application()
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def has(self, alerts: int, patience: float) -> None:
        """Return once so many alerts have come, or patience is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while len(self.came) < alerts:
                    self._arrival.clear()
                    await self._arrival.wait()

    async def _handle(self, request: web.Request) -> web.Response:
        data = json.loads(await request.read())["data"]
        self.posts += 1
        self.first.setdefault(data["alert_id"], time.perf_counter())
        self.last = time.monotonic()
        self.came[data["alert_id"]].append((data["state"], request.headers["webhook-id"]))
        self._arrival.set()
        return web.Response(status=204)


def receivers_environment(receivers: Mapping[str, Receiver]) -> dict[str, str]:
    """The settings of a worker that posts to these."""
    hooks = {
        name: {"kind": "webhook", "url": f"http://127.0.0.1:{one.port}/", "secret": SECRET,
               "most_per_hour": 1_000_000}
        for name, one in receivers.items()
    }  # fmt: skip
    return {"UPSHOT_RECEIVERS": json.dumps(hooks), "UPSHOT_RECEIVER_ALLOW": "127.0.0.1"}


@dataclass
class Fleet:
    """The parts, and what was done to them."""

    settings: Settings
    kafka: KafkaServer
    receivers: dict[str, Receiver]
    parts: dict[str, ProcessPart] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    over: bool = False

    def start(self) -> None:
        """Start both roles."""
        more = receivers_environment(self.receivers)
        for role in ("alerts", "notifications"):
            settings = self.settings.model_copy(update={"data_dir": self.settings.data_dir / role})
            part = ProcessPart(role, role_command(role), settings.data_dir, role_environment(settings) | more)
            self.parts[role] = part
            part.start()

    async def keep(self) -> None:
        """Start every part again that isn't there, as a supervisor would."""
        while not self.over:
            for part in (self.kafka, *self.parts.values()):
                if not part.alive():
                    with suppress(PartFailed):
                        await asyncio.to_thread(part.start)
            await asyncio.sleep(0.1)

    async def kill(self, what: str, dice: random.Random) -> None:
        """Kill one part."""
        self.killed[what] += 1
        if what == "receiver":
            receiver = self.receivers[dice.choice(RECEIVERS)]
            await receiver.stop()
            await asyncio.sleep(dice.uniform(0.1, 4))
            await receiver.start()
            return
        part: Any = self.kafka if what == "kafka" else self.parts[what]
        with suppress(PartFailed, ProcessLookupError):
            kill(part.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End both roles."""
        for part in self.parts.values():
            part.stop()


class Load:
    """Scores at a rate. `revisions` has the number of revisions of each score; the second is good."""

    def __init__(self, settings: Settings, rate: float, dice: random.Random) -> None:
        self._settings, self._rate, self._dice = settings, rate, dice
        self.revisions: dict[str, int] = {}
        self.over = False

    async def run(self) -> None:
        """Send until it's over; what the broker has not acknowledged is sent again, perhaps twice."""
        fresh: list[str] = []
        while not self.over:
            names = [f"s{len(self.revisions) + n}" for n in range(max(1, int(self._rate / 4)))]
            corrected = [name for name in fresh if self._dice.random() < 1 / 3]
            await self._send([(name, 1) for name in names] + [(name, 2) for name in corrected])
            self.revisions |= dict.fromkeys(names, 1) | dict.fromkeys(corrected, 2)
            fresh = names
            await asyncio.sleep(0.25)

    async def _send(self, scores: list[tuple[str, int]]) -> None:
        while True:
            with suppress(KafkaError, UpshotError, OSError, TimeoutError):
                async with asyncio.timeout(60), event_producer(self._settings) as producer:
                    sent = [
                        await producer.send("scores", _score(name, revision), key=name)
                        for name, revision in scores
                    ]
                    await delivered(sent)
                    return
            await asyncio.sleep(0.5)


def _score(name: str, revision: int) -> bytes:
    event = {"score_id": name, "run_id": name, "name": "merged", "value": revision > 1, "revision": revision}
    return json.dumps(event | {"reason": "outcome", "decided_at": datetime.now(UTC).isoformat()}).encode()


async def raised(settings: Settings) -> dict[str, dict[int, str]]:
    """All alerts of the topic: by id, the states by revision."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    topic = settings.topic("alerts")
    options: dict[str, Any] = {"auto_offset_reset": "earliest", "bootstrap_servers": settings.kafka_url}
    async with AIOKafkaConsumer(topic, isolation_level="read_committed", **options) as consumer:
        while batch := await consumer.getmany(timeout_ms=5_000):
            for record in (record for records in batch.values() for record in records):
                alert = json.loads(record.value or b"")
                found[alert["alert_id"]][alert["revision"]] = alert["state"]
    return found


def faults(
    settings: Settings, load: Load, found: dict[str, dict[int, str]], receivers: dict[str, Receiver]
) -> Counter[str]:
    """What the oracle finds wrong."""
    wrong: Counter[str] = Counter()
    expected = {alert_id(settings.topic_prefix, RULE, name): n for name, n in load.revisions.items()}
    wrong["alerts lost"] = len(expected.keys() - found.keys())
    wrong["alerts under a wrong id"] = len(found.keys() - expected.keys())
    for identity, revisions in expected.items():
        states = found.get(identity, {})
        wrong["alerts in a wrong state"] += states.get(max(states, default=0)) != _state(revisions)
        for name, receiver in receivers.items():
            came = receiver.came.get(identity, [])
            distinct = list(dict.fromkeys(came))
            wrong["notices lost"] += not came and revisions == 1
            wrong["notices twice under another id"] += len(distinct) > len({state for state, _ in distinct})
            wrong["receivers in a wrong state"] += bool(came) and distinct[-1][0] != _state(revisions)
            ids = {fact_id("notice", identity, state, name) for state, _ in distinct}
            wrong["notices under a wrong id"] += ids != {one for _, one in distinct}
    return wrong


def _state(revisions: int) -> str:
    return "firing" if revisions == 1 else "resolved"


async def quiet(receivers: dict[str, Receiver], load: Load, settings: Settings) -> None:
    """Until every firing alert has come, and nothing comes any more; or patience is over."""
    wanted = {alert_id(settings.topic_prefix, RULE, name) for name, n in load.revisions.items() if n == 1}
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        missing = any(wanted - one.came.keys() for one in receivers.values())
        if not missing and time.monotonic() - max(one.last for one in receivers.values()) > QUIET:
            return
        await asyncio.sleep(0.5)


async def trial(settings: Settings, kafka: KafkaServer, arguments: argparse.Namespace) -> int:
    """The whole run, printed; the number of faults."""
    dice = random.Random(arguments.seed)
    receivers = {name: Receiver() for name in RECEIVERS}
    for receiver in receivers.values():
        await receiver.start()
    rule = {"name": RULE, "kind": "score", "score": "merged", "equals": False, "cap": 2**31 - 1}
    rule |= {"notify": list(RECEIVERS), "changed_at": datetime.now(UTC).isoformat()}
    async with event_producer(settings) as producer:
        await delivered([await producer.send("alert-rules", json.dumps(rule).encode(), key=RULE)])
    fleet, load = Fleet(settings, kafka, receivers), Load(settings, arguments.rate, dice)
    fleet.start()
    keeping, loading = asyncio.create_task(fleet.keep()), asyncio.create_task(load.run())
    began = time.monotonic()
    try:
        await asyncio.sleep(8)
        for number in range(arguments.kills):
            if loading.done() or keeping.done():
                break  # an error of ours: raised below
            what = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            await fleet.kill(what, dice)
            await asyncio.sleep(dice.uniform(6, 10) if what == "kafka" else dice.uniform(0.3, arguments.gap))
            if number % 20 == 19:
                posts = sum(one.posts for one in receivers.values())
                print(f"{number + 1} kills, {len(load.revisions):,} scores, {posts:,} posts", flush=True)
        load.over = True
        await loading
        await quiet(receivers, load, settings)
        found = await raised(settings)
    finally:
        fleet.over = load.over = True
        await asyncio.gather(keeping, loading)
        await asyncio.to_thread(fleet.stop)
        for receiver in receivers.values():
            await receiver.stop()
    wrong = faults(settings, load, found, receivers)
    came = sum(len(set(each)) for one in receivers.values() for each in one.came.values())
    posts = sum(one.posts for one in receivers.values())
    kinds = ", ".join(f"{count} of {what}" for what, count in sorted(fleet.killed.items()))
    print(f"{fleet.killed.total()} kills ({kinds}) in {time.monotonic() - began:.0f} s")
    print(f"{len(load.revisions):,} bad scores, {sum(n > 1 for n in load.revisions.values()):,} corrected")
    print(f"{came:,} notices; {posts - came:,} posts came again under the same id")
    print("; ".join(f"{what}: {count}" for what, count in wrong.items()))
    return wrong.total()


def main() -> int:
    """Parse, run; 1 where the oracle finds a fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="kills of all kinds (default 200)")
    parser.add_argument("--rate", type=float, default=40, help="bad scores a second (default 40)")
    parser.add_argument("--gap", type=float, default=4, help="seconds between kills at the most (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills (default 1)")
    arguments = parser.parse_args()
    with broker_with_topics() as (settings, kafka):
        return int(asyncio.run(trial(settings, kafka, arguments)) > 0)


if __name__ == "__main__":
    sys.exit(main())

"""How long an alert in Kafka takes to its webhook: at a steady rate, and through a kill of the role.

    python -m benchmarks.alerts.delivery [--rate 10] [--rate 1000] [--seconds 20] [--kill]

Starts the real Kafka, one worker of the role `notifications`, and a receiver over HTTP in this process. Time
counts from handing an alert to the producer until the receiver has its request. The first five seconds don't
count. With `--kill` the worker is killed half-way, and started again at once by its name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaProducer

from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics

WARM_UP = 5.0
PATIENCE = 60.0
SECRET = "whsec_" + b64encode(bytes(32)).decode()


class Receiver:
    """When the request of each alert came first, and how many came again."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.again = 0
        self.other_ids = 0
        self._ids: dict[str, str] = {}
        self._arrival = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        alert = json.loads(await request.read())["data"]["alert_id"]
        notice = request.headers["webhook-id"]
        self.again += alert in self.came
        self.other_ids += self._ids.setdefault(alert, notice) != notice
        self.came.setdefault(alert, now)
        self._arrival.set()
        return web.Response(status=204)

    async def has(self, alerts: Iterable[str]) -> None:
        """Return once all have come, or none came for long."""
        missing = set(alerts) - self.came.keys()
        try:
            while missing:
                self._arrival.clear()
                async with asyncio.timeout(PATIENCE):
                    await self._arrival.wait()
                missing -= self.came.keys()
        except TimeoutError:
            print(f"{len(missing)} have not come")


@contextmanager
def kafka(folder: Path) -> Iterator[KafkaServer]:
    server = KafkaServer(folder)
    server.start()
    try:
        server.wait_ready(120)
        yield server
    finally:
        server.stop()


class Worker:
    """The role as a process."""

    def __init__(self, settings: Settings, port: int, folder: Path, concurrency: int) -> None:
        hook: dict[str, Any] = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/", "secret": SECRET}
        hook |= {"most_per_hour": 1_000_000, "concurrency": concurrency}
        self._environment = {
            **os.environ,
            "UPSHOT_KAFKA_URL": settings.kafka_url,
            "UPSHOT_RECEIVERS": json.dumps({"ops": hook}),
            "UPSHOT_RECEIVER_ALLOW": "127.0.0.1",
            "UPSHOT_WORKER_ID": "measured",
            "UPSHOT_DATA_DIR": str(folder),
        }
        self._log = (folder / "worker.log").open("ab")
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "upshot.cli", "worker", "--role", "notifications"]
        self.process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)
        return self.process

    def cpu(self) -> float:
        """Seconds of a processor so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


async def send(producer: AIOKafkaProducer, settings: Settings, alert: str) -> None:
    event = {
        "alert_id": alert,
        "name": "measured",
        "run_id": "r1",
        "score_id": alert,
        "value": False,
        "message": "A ticket was reopened",
        "raised_at": datetime.now(UTC).isoformat(),
        "notify": ["ops"],
    }
    await producer.send(settings.topic("alerts"), json.dumps(event).encode(), key=alert.encode())


async def measure(
    producer: AIOKafkaProducer,
    settings: Settings,
    receiver: Receiver,
    worker: Worker,
    rate: float,
    args: argparse.Namespace,
) -> None:
    sent: dict[str, float] = {}
    seconds = WARM_UP + args.seconds
    run = f"{rate:g}-{time.time_ns()}"
    began, killed = time.monotonic(), not args.kill
    cpu, ours = worker.cpu(), time.process_time()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        if not killed and time.monotonic() - began > seconds / 2:
            killed = True
            await asyncio.to_thread(worker.kill)
            worker.start()
        alert = f"{run}-{number}"
        sent[alert] = time.monotonic()
        await send(producer, settings, alert)
    await producer.flush()
    await receiver.has(sent)
    delays = {
        alert: receiver.came[alert] - at
        for alert, at in sent.items()
        if alert in receiver.came and at - began > WARM_UP
    }
    report(rate, delays, len(sent.keys() - receiver.came.keys()), receiver)
    if not args.kill:
        spent = [(seconds * 1000 / len(sent)) for seconds in (worker.cpu() - cpu, time.process_time() - ours)]
        print(
            f"  processor per alert: the role {spent[0]:.2f} ms, load and receiver {spent[1]:.2f} ms",
            flush=True,
        )


def report(rate: float, delays: dict[str, float], missing: int, receiver: Receiver) -> None:
    ordered = sorted(delays.values())
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    print(
        f"{rate:g} a second, {len(ordered):,} alerts: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
        f"longest {ordered[-1] * 1000:.0f} ms; {missing} missing, {receiver.again} came again, "
        f"{receiver.other_ids} under another id",
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, action="append")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--kill", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, kafka(Path(name) / "kafka") as server:
        settings = Settings(kafka_url=server.bootstrap)
        await ensure_topics(settings)
        receiver = Receiver()
        app = web.Application()
        app.router.add_post("/", receiver.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        worker = Worker(settings, runner.addresses[0][1], Path(name), args.concurrency)
        try:
            async with AIOKafkaProducer(bootstrap_servers=settings.kafka_url, linger_ms=1) as producer:
                await send(producer, settings, "first")
                await receiver.has(["first"])
                for rate in args.rate or [10.0, 1000.0]:
                    await measure(producer, settings, receiver, worker, rate, args)
        finally:
            worker.kill()
            if os.environ.get("SHOW_LOG"):
                print((Path(name) / "worker.log").read_text()[-3000:])
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())

"""What a step of the SDK costs the agent, beside a plain OpenTelemetry span; what an install takes.

    python benchmarks/sdk.py [--steps 5000] [--rounds 7] [--kafka]

Both sides do the same in the same process: open and close a span around nothing. The plain span has a
processor with an exporter that does nothing. The SDK's steps go to a transport that takes all, or with
--kafka to a broker that is started. Of each figure the median of the rounds: the time in the agent's thread,
and all CPU time until everything is delivered, the delivery's thread included.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median
from typing import NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from upshot import App
from upshot.local.kafka import KafkaServer
from upshot.sdk.transport import ACKNOWLEDGED, DeliveryResult
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.kafka.admin import ensure_topics


class NullScope(SpanExporter):
    """Exports nothing."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class TakesAll:
    """A transport that keeps nothing."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, messages: Sequence[OutgoingEvent]) -> list[DeliveryResult]:
        return [ACKNOWLEDGED] * len(messages)


class Cost(NamedTuple):
    """Microseconds of one step: in the agent's thread, and of CPU in all threads."""

    thread: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kafka", action="store_true", help="send to a real broker")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        if not options.kafka:
            app = App("bench", settings=Settings(data_dir=data), transport=TakesAll)
            return measure(app, options.steps, options.rounds)
        server = KafkaServer(data / "kafka")
        server.start()
        try:
            server.wait_ready(120)
            settings = Settings(data_dir=data, kafka_url=server.bootstrap)
            asyncio.run(ensure_topics(settings))
            measure(App("bench", settings=settings), options.steps, options.rounds)
        finally:
            server.stop()


def measure(app: App, steps: int, rounds: int) -> None:
    """Print all figures."""
    plain = repeat(lambda: spans(steps), lambda: None, steps, rounds)
    print(f"{'':32}{'agent, µs':>10}{'ratio':>7}{'CPU, µs':>10}{'ratio':>7}")
    show("plain span", plain, plain)
    for name, work in (
        ("step, with", lambda: sync_steps(app, steps)),
        ("step, decorated function", lambda: decorated_steps(app, steps)),
        ("step, async function", lambda: asyncio.run(async_steps(app, steps))),
    ):
        show(name, repeat(work, lambda: flushed(app), steps, rounds), plain)
    few = steps // 10
    show("score", repeat(lambda: scores(app, few), lambda: flushed(app), few, rounds), plain)
    print(f"delivered: {app.delivered}")
    app.close()
    print_install()


def repeat(work: Callable[[], None], settle: Callable[[], None], steps: int, rounds: int) -> Cost:
    found: list[Cost] = []
    for _ in range(rounds + 1):
        cpu, begin = time.process_time(), time.perf_counter()
        work()
        thread = time.perf_counter() - begin
        settle()
        found.append(Cost(thread / steps * 1e6, (time.process_time() - cpu) / steps * 1e6))
    warm = found[1:]
    return Cost(median(cost.thread for cost in warm), median(cost.cpu for cost in warm))


def show(name: str, cost: Cost, plain: Cost) -> None:
    ratios = cost.thread / plain.thread, cost.cpu / plain.cpu
    print(f"{name:32}{cost.thread:10.1f}{ratios[0]:7.2f}{cost.cpu:10.1f}{ratios[1]:7.2f}")


def flushed(app: App) -> None:
    if not app.flush(120):
        raise SystemExit("not everything was delivered")


_provider = TracerProvider(shutdown_on_exit=False)
_provider.add_span_processor(SimpleSpanProcessor(NullScope()))
_tracer = _provider.get_tracer("bench")


def spans(count: int) -> None:
    with _tracer.start_as_current_span("run"):
        for _ in range(count):
            with _tracer.start_as_current_span("step"):
                pass


def sync_steps(app: App, count: int) -> None:
    with app.run("bench") as run:
        for _ in range(count):
            with run.step("step"):
                pass


def decorated_steps(app: App, count: int) -> None:
    @app.step
    def step() -> None:
        return None

    with app.run("bench"):
        for _ in range(count):
            step()


async def async_steps(app: App, count: int) -> None:
    async def step() -> None:
        return None

    async with app.run("bench") as run:
        for _ in range(count):
            await run.step("step", step)


def scores(app: App, count: int) -> None:
    for number in range(count):
        app.score("r1", "helpful", number)


def print_install() -> None:
    """How large the base is, and how long its imports take, each in a process of its own."""
    sizes = {name: size_of(name) for name in closure("upshot")}
    total = sum(sizes.values())
    print(f"install: {total / 1e6:.1f} MB in {len(sizes)} packages, their bytecode not counted")
    for code in (
        "import upshot",
        "import upshot; upshot.App",
        "import opentelemetry.sdk.trace, aiokafka, pydantic",
    ):
        begin = time.perf_counter()
        for _ in range(5):
            subprocess.run([sys.executable, "-c", code], check=True)
        alone = (time.perf_counter() - begin) / 5
        print(f"{code:52} {alone * 1000:6.0f} ms, the interpreter included")


def closure(name: str, seen: set[str] | None = None) -> set[str]:
    """A distribution and all that it needs, without extras."""
    seen = set() if seen is None else seen
    if name in seen:
        return seen
    try:
        needs = distribution(name).requires or []
    except PackageNotFoundError:
        return seen
    seen.add(name)
    for line in needs:
        if "extra ==" not in line:
            head = line.split(";")[0]
            closure("".join(c if c.isalnum() or c in "-_." else " " for c in head).split()[0], seen)
    return seen


def size_of(name: str) -> int:
    """Bytes on disk; of a checkout the code alone."""
    files = [Path(str(file.locate())) for file in distribution(name).files or []]
    if name == "upshot":
        root = Path(__file__).parents[1]
        files = [
            f
            for d in ("upshot", "schemas", "streams", "processors", "insights")
            for f in (root / d).rglob("*.*")
        ]
    return sum(file.stat().st_size for file in files if file.is_file() and "__pycache__" not in file.parts)


if __name__ == "__main__":
    main()

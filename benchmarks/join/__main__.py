"""The join against its peers: same broker, same events, each in a process of its own.

    python benchmarks/join [--events N] [--rounds 3] [--only upshot,confluent] [--json FILE]
                           [--chart FILE] [--page FILE]

Every round measures each system once, in turn. Its topics are filled before; time counts from the first
record to everything committed. What each emitted is compared with the known answers: exits with 1 if a
system failed or gave a wrong answer. The peers' packages: see `make bench`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from events import Events, make_events
from measuring import Measured, measure
from outputs import undrawable, unwritable
from report import failures, line, save, table, told, write_page
from systems import SYSTEMS, System

from upshot.local.jars import KAFKA_VERSION
from upshot.local.kafka import KafkaServer

PACKAGES = ("aiokafka", "bytewax", "confluent-kafka", "faust-streaming", "quixstreams", "rocksdict", "upshot")


def main() -> int:
    """Parse, measure, print."""
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # topics that are being made have no leader yet
    asked = [system for system in SYSTEMS if not arguments.only or system.name in arguments.only]
    systems = [system for system in asked if _can_run(system)]
    if not systems:
        print("there is nothing to measure")
        return 1
    rounds: list[dict[str, Measured]] = []
    with tempfile.TemporaryDirectory(prefix="upshot-join-") as folder, ExitStack() as cleanup:
        kafka = KafkaServer(Path(folder), heap="512m", report=print)
        kafka.start()
        cleanup.callback(kafka.stop)
        kafka.wait_ready(120)
        work = Work(arguments.events, arguments.seed, kafka, Path(folder))
        for number in range(arguments.rounds):
            rounds.append({})
            for system in _turned(systems, number):
                rounds[-1][system.name] = work.measure(system, number)
                print(line(rounds[-1][system.name]), flush=True)
    return _conclude(rounds, arguments, work)


class Work:
    """Measures systems on one broker; keeps the events of each size."""

    def __init__(self, count: int, seed: int, kafka: KafkaServer, folder: Path) -> None:
        self._count, self._seed, self._kafka, self._folder = count, seed, kafka, folder
        self._events: dict[int, Events] = {}

    def measure(self, system: System, number: int) -> Measured:
        """Run a system once, on its portion of the events."""
        return measure(
            system, self.events(system.portion), self._kafka, self._folder, f"join-{system.name}-{number}"
        )

    def events(self, portion: float = 1.0) -> Events:
        """A portion of the events."""
        count = int(self._count * portion)
        if count not in self._events:
            self._events[count] = make_events(count, self._seed)
        return self._events[count]


def _turned(systems: Sequence[System], number: int) -> Sequence[System]:
    """Each round begins with another system."""
    turn = number % len(systems)
    return [*systems[turn:], *systems[:turn]]


def _can_run(system: System) -> bool:
    lack = system.lacks()
    if lack:
        print(f"{system.name}: left out, {lack}")
    return not lack


def _conclude(rounds: Sequence[dict[str, Measured]], arguments: argparse.Namespace, work: Work) -> int:
    about = _about(arguments, work.events())
    print(f"\n{told(about)}\n\n{table(rounds)}")
    wrong = failures(rounds)
    for failure in wrong:
        print(failure)
    if arguments.json:
        save(rounds, about, arguments.json)
    if arguments.chart:
        from chart import draw

        draw(rounds, about, arguments.chart)
    if arguments.page:
        write_page(rounds, about, arguments.chart, arguments.page)
    return 1 if wrong else 0


def _about(arguments: argparse.Namespace, events: Events) -> dict[str, Any]:
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "events": events.count,
        "bytes": round(events.mean_bytes),
        "seed": arguments.seed,
        "rounds": arguments.rounds,
        "cores": os.cpu_count(),
        "Kafka": KAFKA_VERSION,
        "Python": python,
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=400_000, help="of a fast system (default 400,000)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each system (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="of the events (default 1)")
    names = ",".join(system.name for system in SYSTEMS)
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {names}")
    parser.add_argument("--json", type=Path, help="where to write every measurement")
    parser.add_argument("--chart", type=Path, help="where to draw the rates (.svg or .png)")
    parser.add_argument("--page", type=Path, help="a Markdown page for table and chart, beside the chart")
    arguments = parser.parse_args()
    if arguments.page and not arguments.chart:
        parser.error("--page needs --chart")
    for file in filter(None, (arguments.json, arguments.chart, arguments.page)):
        if why := unwritable(file):
            parser.error(why)
    if arguments.chart and (why := undrawable(arguments.chart)):
        parser.error(why)
    unknown = set(arguments.only or ()) - {system.name for system in SYSTEMS}
    if unknown:
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())

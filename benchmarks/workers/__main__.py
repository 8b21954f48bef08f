"""Several workers of the join on one group: throughput, assignment, and pauses at each change.

    python benchmarks/workers --events 200000 --rate 200

First, for 1 to 4 workers: a backlog of events over 8 partitions, and how fast the group works through it.
Then, under a steady load: workers come in sequence, a worker is stopped, a worker is killed with -9 and comes
back. For each change the longest time of a partition with events and without a score is printed
beside the longest time of a calm before. Everything runs on this machine: with few cores, more workers share
the same CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from group import Group
from load import fill
from pauses import CHANGES, measure_pauses

from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics

PARTITIONS = 8


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000, help="of each backlog (default 100,000)")
    parser.add_argument("--workers", type=int, default=4, help="at the most, for the backlog (default 4)")
    parser.add_argument("--rate", type=int, default=200, help="scores a second under load (default 200)")
    parser.add_argument("--calm", type=float, default=8.0, help="seconds between changes (default 8)")
    parser.add_argument("--standbys", type=int, default=0, help="standby replicas (default 0)")
    parser.add_argument("--only", choices=["backlog", "pauses"], help="one half of it")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    print(f"{os.cpu_count()} cores, which Kafka, the workers and the load share; {PARTITIONS} partitions")
    with tempfile.TemporaryDirectory(prefix="upshot-workers-") as folder, ExitStack() as cleanup:
        kafka = KafkaServer(Path(folder), report=lambda line: print(line, file=sys.stderr))
        kafka.start()
        cleanup.callback(kafka.stop)
        kafka.wait_ready(120)
        if arguments.only != "pauses":
            _backlogs(kafka, arguments, Path(folder))
        if arguments.only != "backlog":
            _pauses(kafka, arguments, Path(folder))


def _settings(kafka: KafkaServer, arguments: argparse.Namespace, folder: Path, prefix: str) -> Settings:
    settings = Settings(
        kafka_url=kafka.bootstrap,
        data_dir=folder / prefix,
        topic_prefix=prefix,
        partitions=PARTITIONS,
        standby_replicas=arguments.standbys,
    )
    asyncio.run(ensure_topics(settings))
    return settings


def _backlogs(kafka: KafkaServer, arguments: argparse.Namespace, folder: Path) -> None:
    print(f"\n{'workers':>7}  {'shares':<12}{'events/s':>10}  ratio to 1")
    alone = 0.0
    for count in range(1, arguments.workers + 1):
        settings = _settings(kafka, arguments, folder, f"backlog{count}.")
        with ExitStack() as cleanup:
            group = Group(settings, cleanup)
            # They share the partitions before there is anything to do: what is measured is work.
            names = [group.start() for _ in range(count)]
            group.wait_for_shares(names, PARTITIONS)
            seconds = asyncio.run(fill(settings, arguments.events))
            rate = arguments.events / seconds
            alone = alone or rate
            print(f"{count:>7}  {group.shares(names):<12}{rate:>10,.0f}  {rate / alone:.2f}", flush=True)


def _pauses(kafka: KafkaServer, arguments: argparse.Namespace, folder: Path) -> None:
    settings = _settings(kafka, arguments, folder, "pauses.")
    with ExitStack() as cleanup:
        group = Group(settings, cleanup)
        found = asyncio.run(measure_pauses(settings, group, arguments.rate, arguments.calm))
    print(f"\n{'change':<42}{'shares after':<14}{'longest gap of a partition':>27}")
    for change in CHANGES:
        pause = found[change.name]
        print(f"{change.name:<42}{pause.shares:<14}{pause.seconds:>25.2f} s")


if __name__ == "__main__":
    main()

"""Kill -9 of every part at random under load; afterwards every score must be there, once, and right.

    python benchmarks/crash --kills 100

Starts Kafka, ClickHouse and both roles of a worker, sends made histories with known answers, kills parts on
a seeded schedule, lets the rest settle, and compares ClickHouse with the truth. Exits with 1 when anything is
lost, double or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

from check import Checker, Findings
from killing import Killer
from load import cases
from producing import Load
from pydantic import SecretStr

from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.part import Part
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.admin import ensure_topics


def main() -> int:
    """Parse, run, print the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="how many kills (default 20)")
    parser.add_argument("--cases", type=int, default=500, help="runs to send at the least (default 500)")
    parser.add_argument("--rate", type=float, default=100.0, help="runs per second (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the histories and of the kills (default 1)")
    parser.add_argument(
        "--settle", type=float, default=180.0, help="seconds to settle at the most (default 180)"
    )
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that was killed is what we asked for
    folder = Path(tempfile.mkdtemp(prefix="upshot-crash-"))
    findings = asyncio.run(_run(arguments, folder))
    if not findings.is_clean:
        print(f"data and logs are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


async def _run(arguments: argparse.Namespace, folder: Path) -> Findings:
    kafka, clickhouse = KafkaServer(folder, report=_say), ClickHouseServer(folder)
    parts: dict[str, Part] = {"kafka": kafka, "clickhouse": clickhouse}
    try:
        for part in (kafka, clickhouse):
            await asyncio.to_thread(part.start)
            await asyncio.to_thread(part.wait_ready, 120)
        settings = Settings(
            kafka_url=kafka.bootstrap,
            clickhouse_url=SecretStr(clickhouse.url),
            data_dir=folder,
        )
        await ensure_topics(settings)
        await asyncio.to_thread(migrate, settings)
        for role in ("correlate", "store"):
            parts[role] = ProcessPart(role, role_command(role), folder, role_environment(settings))
            await asyncio.to_thread(parts[role].start)
        return await _storm(arguments, settings, parts)
    finally:
        for part in reversed(parts.values()):
            await asyncio.to_thread(part.stop, 20)


async def _storm(arguments: argparse.Namespace, settings: Settings, parts: dict[str, Part]) -> Findings:
    load = Load(settings, cases(arguments.seed), arguments.rate)
    killer = Killer(parts, arguments.seed, _say)
    calm = asyncio.Event()
    began = time.monotonic()
    keeping = asyncio.create_task(killer.keep_running())
    sending = asyncio.create_task(load.run(calm, arguments.cases))
    await killer.kill(arguments.kills)
    calm.set()
    await sending
    _say(f"{len(load.sent)} runs sent, {sum(len(c.messages) for c in load.sent)} events; letting it settle")
    calmed = time.monotonic()
    findings = await asyncio.to_thread(_settled, arguments, settings, load)
    keeping.cancel()
    now = time.monotonic()
    killed = ", ".join(f"{count} {name}" for name, count in killer.killed.most_common())
    print(f"seed {arguments.seed}: {killer.killed.total()} kills ({killed}) in {calmed - began:.0f} s")
    print(f"{len(load.sent)} runs: {findings}; settled after {now - calmed:.0f} s")
    return findings


def _settled(arguments: argparse.Namespace, settings: Settings, load: Load) -> Findings:
    """What differs once nothing does any more, or when the time to settle is over."""
    checker = Checker(settings, arguments.seed)
    deadline = time.monotonic() + arguments.settle
    while True:
        findings = checker.compare(load.sent)
        if findings.is_clean or time.monotonic() > deadline:
            return findings
        time.sleep(1)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

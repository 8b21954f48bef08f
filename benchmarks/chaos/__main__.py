"""Break everything at random under load; afterwards every score must be there, once, and right.

    python -m benchmarks.chaos --kills 100 --seed 11 --log chaos.jsonl
    python -m benchmarks.chaos --outage kafka --for 600
    python -m benchmarks.chaos --totals chaos.jsonl

Starts Kafka, ClickHouse and several workers of each role, sends made histories with known answers, and on a
seeded schedule kills parts, freezes and throttles them, takes their disk and their network away, adds and
removes workers, and deletes what they keep. Then it lets everything settle and compares ClickHouse with what
must come of the input as it lies in Kafka. Exits with 1 when anything is lost, wrong or there twice; the data
and the logs are kept then.
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

from benchmarks.chaos.check import Findings
from benchmarks.chaos.outage import outage
from benchmarks.chaos.report import Report, append, read, totals
from benchmarks.chaos.schedule import schedule
from benchmarks.chaos.storm import Storm
from benchmarks.chaos.trial import Plan, trial

#: Lines shown of each kind of finding.
_SHOWN = 5


def main() -> int:
    """Parse, run, print the verdict."""
    arguments = _parsed()
    if arguments.totals:
        print(totals(read(arguments.totals)))
        return 0
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that was killed is what we asked for
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="upshot-chaos-", dir=arguments.folder))
    plan = Plan(
        seed=arguments.seed,
        cases=arguments.cases,
        rate=arguments.rate,
        correlates=arguments.correlates,
        stores=arguments.stores,
        partitions=arguments.partitions,
        standbys=arguments.standbys,
        settle=arguments.settle,
        followups=arguments.followups,
    )
    report, findings = asyncio.run(
        _stormed(plan, arguments.kills, folder)
        if arguments.outage is None
        else outage(plan, arguments.outage, arguments.seconds, folder, _say)
    )
    return _told(report, findings, arguments.log, folder)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=50, help="how many kills (default 50)")
    parser.add_argument("--cases", type=int, default=500, help="runs to send at the least (default 500)")
    parser.add_argument("--rate", type=float, default=50.0, help="runs per second (default 50)")
    parser.add_argument("--seed", type=int, default=1, help="of the histories and the schedule (default 1)")
    parser.add_argument("--correlates", type=int, default=3, help="workers that join (default 3)")
    parser.add_argument("--stores", type=int, default=2, help="workers that store (default 2)")
    parser.add_argument("--followups", type=int, default=2, help="workers that run follow-ups (default 2)")
    parser.add_argument("--partitions", type=int, default=6, help="of each topic (default 6)")
    parser.add_argument("--standbys", type=int, default=1, help="of each partition of the join (default 1)")
    parser.add_argument("--settle", type=float, default=240.0, help="seconds at the most (default 240)")
    parser.add_argument("--outage", choices=["kafka", "clickhouse"], help="only take this one away, once")
    parser.add_argument(
        "--for", dest="seconds", type=float, default=600.0, help="of the outage (default 600)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where data and logs are made (default: a temporary place)"
    )
    parser.add_argument("--log", type=Path, help="append the run's report to this file, as a line of JSON")
    parser.add_argument("--totals", type=Path, metavar="LOG", help="print the totals of such a file")
    arguments = parser.parse_args()
    if arguments.log is not None:
        try:
            arguments.log.open("a").close()
        except OSError as error:
            parser.error(f"{arguments.log} can't be written: {error.strerror}")
    return arguments


async def _stormed(plan: Plan, kills: int, folder: Path) -> tuple[Report, Findings]:
    async with trial(plan, folder, _say) as running:
        sending = asyncio.create_task(running.load.run(plan.cases))
        storm = Storm(running.fleet, running.load, running.progress, running.anew, _say)
        workers = [member.name for member in running.fleet.workers]
        await storm.rage(schedule(plan.seed, workers), kills)
        running.load.stop()
        await sending
        return await running.verdict(done=storm.done, silent_calms=storm.silent_calms)


def _told(report: Report, findings: Findings, log: Path | None, folder: Path) -> int:
    print(report)
    if log is not None:
        append(log, report)
    if report.is_clean:
        shutil.rmtree(folder)
        return 0
    for name, lines in vars(findings).items():
        for line in lines[:_SHOWN]:
            print(f"{name}: {line}")
    (folder / "findings.txt").write_text(
        "\n".join(f"{name}: {line}" for name, lines in vars(findings).items() for line in lines)
    )
    print(f"data and logs are kept in {folder}")
    return 1


def _say(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

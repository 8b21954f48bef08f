"""How long a fact takes to the rows for reading, while facts come in at a steady rate.

    python -m benchmarks.insights.lag --folder F [--rows-a-second 1000] [--seconds 60]

The folder is one of `python -m benchmarks.insights --folder F`. New runs with all of their facts are inserted
each second, as the role `store` would, and the role `materialize` runs beside, in this process. Prints how
long after the insert the last score of each second stood in `score_rows`, and the CPU seconds of the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import cast

from clickhouse_connect.driver.client import Client

from benchmarks.insights.__main__ import cpu, settle
from benchmarks.insights.data import LAST, fill
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.handler import Materialize
from upshot.processors.store.connection import connect
from upshot.settings import Settings
from upshot.streams.runtime import TP, BatchContext

#: Rows of facts of a run, on the average of the data set.
ROWS_A_RUN = 7.4
_SLOTS = 8


class Alone:
    """The context of a role that has all partitions."""

    async def partition_count(self, topic: str) -> int:
        """As many as a new topic has."""
        return _SLOTS


async def main() -> None:
    """Print the lag."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insights.lag")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows-a-second", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    server = ClickHouseServer(options.folder)
    server.start()
    try:
        server.wait_ready(120)
        settings = Settings.model_validate({"clickhouse_url": server.url})
        settle(connect(settings))
        role = Materialize(settings, cast(BatchContext, Alone()))
        await role.assigned(frozenset(TP(role.topics[0], slot) for slot in range(_SLOTS)))
        await asyncio.sleep(5)
        before = cpu(server)
        lags = await feed(settings, round(options.rows_a_second / ROWS_A_RUN), options.seconds)
        used = cpu(server) - before
        await role.revoked(frozenset())
    finally:
        server.stop()
    lags.sort()
    middle, late = lags[len(lags) // 2], lags[min(len(lags) - 1, int(len(lags) * 0.99))]
    print(
        f"{options.rows_a_second:,} rows a second for {options.seconds} s; ClickHouse took {used:.0f} CPU s"
    )
    print(f"until the rows: p50 {middle:.1f} s, p99 {late:.1f} s, longest {lags[-1]:.1f} s")


async def feed(settings: Settings, runs: int, seconds: int) -> list[float]:
    """Insert so many runs each second; the seconds from each insert until its last score is in the rows."""
    client = connect(settings)
    there = int(str(client.command("SELECT count() FROM scored_runs")))
    began, inserted, lags = time.monotonic(), dict[str, float](), list[float]()
    for second in range(10 * seconds):
        if second < seconds:
            await asyncio.to_thread(fill, client, there + runs, lambda done: None, there)
            sql = _LAST.format(first=there, runs=runs)
            inserted[str(client.command(sql))] = time.monotonic()
            there += runs
        elif not inserted:
            break
        for run in await asyncio.to_thread(arrived, client, list(inserted)):
            lags.append(time.monotonic() - inserted.pop(run))
        await asyncio.sleep(max(0.05, began + second + 1 - time.monotonic()))
    if inserted:
        print(f"{len(inserted)} of {seconds} seconds never arrived")
    return lags


#: Of these runs the last with an outcome.
_LAST = """
SELECT lower(hex(sipHash128('run', max(number)))) FROM numbers({first}, {runs})
WHERE intDiv(sipHash64(number, 1), 20000) % 100 < 85"""
_ARRIVED = """
SELECT DISTINCT run_id FROM raw_score_rows
WHERE name = 'merged' AND started_at > fromUnixTimestamp64Micro({since}, 'UTC')
    AND has({{runs:Array(String)}}, run_id)"""


def arrived(client: Client, runs: list[str]) -> list[str]:
    """Those of the runs that have a score in the rows."""
    sql = _ARRIVED.format(since=LAST - 86_400_000_000)
    return [run for (run,) in client.query(sql, parameters={"runs": runs}).result_rows] if runs else []


if __name__ == "__main__":
    asyncio.run(main())

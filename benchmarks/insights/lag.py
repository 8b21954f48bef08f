"""How long a fact takes to the rows for reading, while facts come in at a steady rate.

    python -m benchmarks.insights.lag [--folder F] [--runs 1000000] [--rates 1000 60000]

The folder is one of `python -m benchmarks.insights --folder F`; without it so many runs are made first. New
runs with all of their facts are inserted each second, as the role `store` would, and the role `materialize`
runs beside, in this process. Prints for each rate how long after the insert the last score of each second
stood in `score_rows`, and the CPU seconds of the engine. The last line names the goals that were missed,
with exit code 1: p99 of 10 s at 1,000 rows a second, of 90 s at 60,000.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, cast

from clickhouse_connect.driver.client import Client

from benchmarks.insights.__main__ import cpu, prepare, settle
from benchmarks.insights.data import LAST, fill
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.handler import Materialize
from upshot.processors.store.connection import connect
from upshot.settings import Settings
from upshot.streams.runtime import TP, BatchContext

#: Rows of facts of a run, on the average of the data set.
ROWS_A_RUN = 7.4
_SLOTS = 8
#: By rows a second the seconds that a fact may take, and the seconds for which the rows come in.
GOALS = {1_000: 10.0, 60_000: 90.0}
SECONDS = {1_000: 60, 60_000: 30}
#: Seconds to wait for rows after the last insert.
PATIENCE = 150


class Alone:
    """The context of a role that has all partitions."""

    async def partition_count(self, topic: str) -> int:
        """As many as a new topic has."""
        return _SLOTS


async def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insights.lag")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rates", type=int, nargs="+", default=list(GOALS), help="rows a second")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        server = ClickHouseServer(options.folder or Path(temporary))
        server.start()
        try:
            server.wait_ready(120)
            settings = Settings.model_validate({"clickhouse_url": server.url})
            if options.folder is None:
                prepare(server, settings, options.runs, merging=False)
            settle(connect(settings))
            missed = [rate for rate in options.rates if not await keeps_up(server, settings, rate)]
        finally:
            server.stop()
    print(f"missed: {', '.join(f'{rate:,} rows a second' for rate in missed)}" if missed else "all goals met")
    return 1 if missed else 0


async def keeps_up(server: ClickHouseServer, settings: Settings, rate: int) -> bool:
    """Whether the rows follow the facts in time; prints how long it takes them."""
    role = Materialize(settings, cast(BatchContext, Alone()))
    await role.assigned(frozenset(TP(role.topics[0], slot) for slot in range(_SLOTS)))
    await asyncio.sleep(5)
    before, seconds = cpu(server), SECONDS.get(rate, 60)
    fed = await feed(settings, round(rate / ROWS_A_RUN), seconds)
    used = cpu(server) - before
    await role.revoked(frozenset())
    print(
        f"{rate:,} rows a second wanted, {fed.rows / fed.took:,.0f} inserted, for {fed.took:.0f} s; "
        f"ClickHouse took {used:.0f} CPU s or {used / fed.rows * 1e6:.0f} CPU µs a row"
    )
    if not (lags := sorted(fed.lags)):
        return False
    middle, late = lags[len(lags) // 2], lags[min(len(lags) - 1, int(len(lags) * 0.99))]
    print(f"until the rows: p50 {middle:.1f} s, p99 {late:.1f} s, longest {lags[-1]:.1f} s", flush=True)
    return len(lags) == seconds and late <= GOALS.get(rate, 90.0)


class Fed(NamedTuple):
    """How many rows were inserted in how many seconds, and the seconds that each second's rows took."""

    rows: int
    took: float
    lags: list[float]


async def feed(settings: Settings, runs: int, seconds: int) -> Fed:
    """Insert so many runs each second, and wait until the last score of each is in the rows."""
    client = connect(settings)
    there = int(str(client.command("SELECT count() FROM scored_runs")))
    first, began, took = there, time.monotonic(), 0.0
    inserted, lags = dict[str, float](), list[float]()
    for second in range(seconds + PATIENCE):
        if second < seconds:
            await asyncio.to_thread(fill, client, there + runs, lambda done: None, there)
            sql = _LAST.format(first=there, runs=runs)
            inserted[str(client.command(sql))] = time.monotonic()
            there, took = there + runs, time.monotonic() - began
        elif not inserted:
            break
        for run in await asyncio.to_thread(arrived, client, list(inserted)):
            lags.append(time.monotonic() - inserted.pop(run))
        await asyncio.sleep(max(0.05, began + second + 1 - time.monotonic()))
    if inserted:
        print(f"{len(inserted)} of {seconds} seconds never arrived")
    return Fed(round((there - first) * ROWS_A_RUN), max(took, float(seconds)), lags)


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
    sys.exit(asyncio.run(main()))

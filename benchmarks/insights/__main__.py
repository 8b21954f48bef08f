"""What questions cost at many runs.

    python -m benchmarks.insights [--runs 1000000] [--folder F] [--only TEXT] [--questions]

Starts an engine of its own, fills it with the data set, writes the rows for reading by the backfill, writes
some runs anew as the role does for changed ones, and asks every question twice: a line for each (CPU seconds,
seconds, MB, rows read, of the second time), and a last line naming those that missed their goal, with exit
code 1. With `--folder` the data stays for the next time. The share of the disk is that of merged tables.
CPU seconds and memory are steady on a shared machine; seconds are not.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from benchmarks.insights.data import fill
from benchmarks.insights.questions import ASKED, Asked
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.backfill import Backfill, is_whole
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect, first_line
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

_SIZES = """
SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() GROUP BY table ORDER BY 3 DESC"""
#: Tables with a row for each event, and with these what was there before the tables for reading.
RAW = frozenset(("raw_runs", "raw_steps", "raw_waits", "raw_outcomes", "raw_scores", "raw_exposures"))
_OLD = RAW | {"raw_latest_by_kind"}
#: How many runs are written anew at once.
_REWRITTEN = (100, 1_000, 20_000, 50_000)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insights")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="", help="ask only questions whose name has this")
    parser.add_argument("--questions", action="store_true", help="write no runs anew")
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        server = ClickHouseServer(options.folder or Path(temporary))
        server.start()
        try:
            server.wait_ready(120)
            settings = Settings.model_validate({"clickhouse_url": server.url})
            prepare(server, settings, options.runs)
            settle(connect(settings))
            if not options.only and not options.questions:
                rewrite(server, settings, connect(settings))
            return ask_all(server, connect(settings), options.only)
        finally:
            server.stop()


def prepare(server: ClickHouseServer, settings: Settings, runs: int, *, merging: bool = True) -> None:
    """The data set and the rows for reading; `merging`: wholly merged, as tables are after a while."""
    migrate(settings)
    client = connect(settings)
    there = int(str(client.command("SELECT uniq(run_id) FROM raw_runs")))
    if there < runs * 0.98:
        began = time.monotonic()
        fill(client, runs)
        print(f"filled: {runs:,} runs in {time.monotonic() - began:.0f} s", flush=True)
    if not is_whole(client):
        settle(client)
        began, before = time.monotonic(), cpu(server)
        backfill = Backfill(client, Writer(settings))
        while backfill.step():
            pass
        took, used = time.monotonic() - began, cpu(server) - before
        facts = sum(rows for table, rows, _ in _sizes(client) if table in RAW)
        print(
            f"rows written: {took:.0f} s, {_each(used, runs, 'run')}, {_each(used, facts, 'raw row')}",
            flush=True,
        )
        if merging:
            merge_all(client)
    sizes = {table: size for table, _, size in _sizes(client)}
    old = sum(size for table, size in sizes.items() if table in _OLD)
    more = sum(sizes.values()) - old
    print(f"disk: {old / 1e6:,.0f} MB of facts, {100 * more / old:.0f} % more for reading", flush=True)


def merge_all(client: Client) -> None:
    """Merge every table to one part for each month."""
    for table, _, _ in _sizes(client):
        try:
            client.command(f"OPTIMIZE TABLE {table} FINAL")
        except ClickHouseError:  # the answer takes longer than the client waits; the merge goes on
            settle(client, 1800)


def rewrite(server: ClickHouseServer, settings: Settings, client: Client) -> None:
    """Write runs anew that lie all over the tables, as for facts that came late."""
    writer = Writer(settings)
    for runs in _REWRITTEN:
        sql = f"SELECT run_id FROM raw_runs ORDER BY sipHash64(run_id, {runs}) LIMIT {runs}"
        changed = [run for (run,) in client.query(sql).result_rows]
        began, before = time.monotonic(), cpu(server)
        writer.write(changed)
        took, used = time.monotonic() - began, cpu(server) - before
        print(f"{runs:,} runs written anew: {took:.1f} s, {_each(used, runs, 'run')}", flush=True)
    writer.close()


def _each(used: float, count: int, what: str) -> str:
    return f"{used:.1f} CPU s or {used / max(1, count) * 1e6:.0f} CPU µs a {what}"


def _sizes(client: Client) -> list[tuple[str, int, int]]:
    """Every table with its rows and bytes, the largest first."""
    return [(str(table), int(rows), int(size)) for table, rows, size in client.query(_SIZES).result_rows]


def cpu(server: ClickHouseServer) -> float:
    """CPU seconds of the engine since its start."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settle(client: Client, seconds: int = 120) -> None:
    """Wait until the merges are done, since their CPU time would count; so many seconds at the most."""
    for _ in range(seconds):
        if not int(str(client.command("SELECT count() FROM system.merges"))):
            return
        time.sleep(1)


def ask_all(server: ClickHouseServer, client: Client, only: str) -> int:
    """Ask each question twice; 1 where any missed its goal."""
    missed = []
    print(f"{'question':52} {'CPU s':>7} {'s':>7} {'MB':>7} {'rows read':>12}")
    for asked in ASKED:
        if only in asked.name and not ask(server, client, asked):
            missed.append(asked.name)
    print(f"missed: {', '.join(missed)}" if missed else "all goals met")
    return 1 if missed else 0


def ask(server: ClickHouseServer, client: Client, asked: Asked) -> bool:
    """Whether the goal was met."""
    limits = {"max_execution_time": 60, "max_memory_usage": 2 << 30}
    try:
        for _ in range(2):
            before, began = cpu(server), time.monotonic()
            answer = client.query(asked.sql, parameters=dict(asked.parameters), settings=limits)
            seconds, used = time.monotonic() - began, cpu(server) - before
    except ClickHouseError as error:
        print(f"{asked.name:52} {first_line(error)[:100]}", flush=True)
        return False
    memory = int(answer.summary.get("memory_usage", 0)) / 1e6
    rows = int(answer.summary.get("read_rows", 0))
    print(f"{asked.name:52} {used:7.2f} {seconds:7.2f} {memory:7.0f} {rows:12,}", flush=True)
    goal = asked.goal
    return used <= goal.cpu and seconds <= goal.seconds and memory <= goal.megabytes


if __name__ == "__main__":
    sys.exit(main())

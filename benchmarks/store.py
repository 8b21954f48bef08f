"""How fast the store is: events into ClickHouse, and the current state out of it.

    python benchmarks/store.py [--events 200000] [--scores 1000000]

Starts an engine of its own in a temporary folder. `rows` is the handler's own work, decoding and building
rows; `insert` is ClickHouse and its client; both in events per second, one after the other in this process.
`CPU` is this process alone, in microseconds per event.
Then it fills the tables with that many scores of half as many runs, a tenth of them revised once, in
inserts of 50,000, and reads them: right after the last insert, and again when all parts are merged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.connection import connect
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.migrate import migrate
from upshot.processors.store.sink import ClickHouseSink
from upshot.schemas.ids import fact_id
from upshot.settings import Settings
from upshot.streams.runtime import TP

NOON = 1_767_268_800_000
BATCH = 5_000
ROUNDS = 5

QUERIES = {
    "rate by name and agent": (
        "SELECT name, agent, count(), avg(value) FROM current_scores GROUP BY name, agent"
    ),
    "rate by an attribute": (
        "SELECT attributes['language'] AS l, count(), avg(value) FROM current_scores GROUP BY l"
    ),
    "rate by name alone": "SELECT name, count(), avg(value) FROM current_scores GROUP BY name",
    "count of current_scores": "SELECT count() FROM current_scores",
    "the last 20 scores": "SELECT * FROM current_scores ORDER BY decided_at DESC LIMIT 20",
    "scores of one run": "SELECT * FROM current_scores WHERE run_id = 'r77'",
    "history of one run": "SELECT * FROM scores WHERE run_id = 'r77'",
    "count of runs by status": "SELECT status, count() FROM runs GROUP BY status",
    "count of pending": "SELECT count() FROM pending",
}


@dataclass(frozen=True)
class Fed:
    """A record as the consumer gives it."""

    topic: str
    offset: int
    value: bytes
    partition: int = 0
    timestamp: int = NOON
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def run_event(number: int) -> dict[str, Any]:
    return {
        "run_id": f"r{number}",
        "agent": f"agent-{number % 5}",
        "version": "1",
        "status": "completed",
        "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:01:00Z",
        "attributes": {"language": ("Go", "Python", "C")[number % 3], "size": number % 100},
    }


def score_event(number: int, revision: int = 1) -> dict[str, Any]:
    subject = f"pr:acme/web#{number}"
    return {
        "score_id": fact_id("score", subject, str(number)),
        "run_id": f"r{number // 2}",
        "name": ("merged", "quick")[number % 2],
        "value": bool((number + revision) % 3),
        "revision": revision,
        "reason": "outcome",
        "subject": subject,
        "wait_id": fact_id("wait", str(number)),
        "outcome_id": f"o{number}",
        "occurred_at": "2026-01-01T00:02:00Z",
        "decided_at": f"2026-01-01T00:0{2 + revision}:00.{number % 1_000_000:06}Z",
    }


def records(topic: str, events: Iterator[dict[str, Any]]) -> list[Fed]:
    return [Fed(f"upshot.{topic}", n, json.dumps(event).encode()) for n, event in enumerate(events)]


class Speed(NamedTuple):
    """Seconds of building rows and of inserting them, and of this process's CPU."""

    rows: float
    insert: float
    cpu: float


async def feed(settings: Settings, topic: str, fed: list[Fed]) -> Speed:
    """Through the handler, an insert for every `store_rows`."""
    gather = settings.model_copy(update={"store_rows": len(fed) + 1, "store_interval": 60.0})
    handler = StoreHandler(gather, ClickHouseSink(settings))
    tp, rows, insert, cpu = TP(f"upshot.{topic}", 0), 0.0, 0.0, time.process_time()
    for start in range(0, len(fed), settings.store_rows):
        began = time.perf_counter()
        for turn in range(start, min(start + settings.store_rows, len(fed)), BATCH):
            await handler.process({tp: fed[turn : turn + BATCH]})
        middle = time.perf_counter()
        await handler.flush()
        rows += middle - began
        insert += time.perf_counter() - middle
    return Speed(rows, insert, time.process_time() - cpu)


def show_speed(name: str, count: int, speed: Speed) -> None:
    print(
        f"{name:8} rows {count / speed.rows:>9,.0f}/s   insert {count / speed.insert:>9,.0f}/s"
        f"   together {count / (speed.rows + speed.insert):>9,.0f}/s   CPU {speed.cpu / count * 1e6:.0f} us"
    )


def fill(client: Client, scores: int) -> None:
    """That many scores, made by ClickHouse itself, in the columns that the store writes."""
    columns = ", ".join(COLUMNS["raw_scores"])
    for revision, count in ((1, scores), (2, scores // 10)):
        for start in range(0, count, 50_000):
            client.command(f"""
                INSERT INTO raw_scores ({columns})
                SELECT lower(hex(MD5(toString(number)))),
                    lower(hex(MD5(concat('{revision}', toString(number))))),
                    concat('r', toString(intDiv(number, 2))), NULL, ['merged', 'quick'][number % 2 + 1],
                    (number + {revision}) % 3 > 0, 'boolean', '', {revision}, NULL, 'outcome', false,
                    concat('pr:acme/web#', toString(number)), lower(hex(MD5(concat('w', toString(number))))),
                    concat('o', toString(number)), toDateTime64('2026-01-01 00:02:00', 6, 'UTC'),
                    toDateTime64('2026-01-01 00:03:00', 6, 'UTC') + toIntervalMicrosecond(number), '', '', '',
                    [], map(), toDateTime64('2026-01-01 00:03:00', 6, 'UTC'), number, number,
                    toUInt256({revision})
                FROM numbers({start}, {min(50_000, count - start)})
                """)
    for start in range(0, scores // 2, 50_000):
        client.command(f"""
            INSERT INTO raw_runs (run_id, agent, status, started_at, attributes, recorded_at)
            WITH toDateTime64('2026-01-01 00:00:00', 6, 'UTC') AS at
            SELECT concat('r', toString(number)), (at, concat('agent-', toString(number % 5))),
                    (1, at, 'completed'),
                (at, at), map('language', (at, ['Go', 'Python', 'C'][number % 3 + 1])), at
            FROM numbers({start}, {min(50_000, scores // 2 - start)})
            """)


def show_queries(client: Client, title: str) -> None:
    print(f"\n{title} (median of {ROUNDS})")
    for name, sql in QUERIES.items():
        print(f"  {name:26} {median(seconds(client, sql) for _ in range(ROUNDS)) * 1000:>8,.0f} ms")


def seconds(client: Client, sql: str) -> float:
    """How long the query takes."""
    began = time.perf_counter()
    client.query(sql)
    return time.perf_counter() - began


def measure(settings: Settings, events: int, scores: int) -> None:
    migrate(settings)
    client = connect(settings)
    for topic, event in (("scores", score_event), ("runs", run_event)):
        fed = records(topic, (event(n) for n in range(events)))
        show_speed(topic, events, asyncio.run(feed(settings, topic, fed)))
        client.command(f"TRUNCATE TABLE raw_{topic}")
    client.command("TRUNCATE TABLE raw_latest_by_kind")
    fill(client, scores)
    parts = (
        "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = "
        "'raw_latest_by_kind'"
    )
    unmerged = client.query(parts).result_rows[0][0]
    show_queries(client, f"{scores:,} scores of {scores // 2:,} runs, {unmerged} parts")
    for table in ("raw_scores", "raw_latest_by_kind", "raw_runs"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    show_queries(client, f"{scores:,} scores of {scores // 2:,} runs, merged")
    sizes = """
        SELECT table, sum(rows), round(sum(bytes_on_disk) / sum(rows), 1) FROM system.parts
        WHERE active AND database = currentDatabase() AND table LIKE 'raw%' GROUP BY table ORDER BY table
        """
    print("\nbytes per row:", ", ".join(f"{t} {size}" for t, _, size in client.query(sizes).result_rows))
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--scores", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        try:
            server.wait_ready(60)
            measure(
                Settings.model_validate({"clickhouse_url": server.url}), arguments.events, arguments.scores
            )
        finally:
            server.stop()


if __name__ == "__main__":
    main()

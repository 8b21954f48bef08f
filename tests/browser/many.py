"""200,000 runs with all that belongs to them, put into ClickHouse at once, with a web server."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from clickhouse_connect.driver.client import Client

from benchmarks.insights.data import fill
from tests.upshot_process import LOOK, START, WholeStack, clean_environment
from upshot.local.ports import choose_ports
from upshot.processors.materialize.backfill import Backfill
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

MANY = 200_000
#: Tables for reading: the columns that no view has.
_OF_TABLES = {
    "scored_runs": {},
    "score_rows": {
        "score_key": "toUInt32(sipHash64(score_id))",
        "latency_micros": "toInt64(latency_seconds * 1e6)",
    },
    "exposure_rows": {"exposure_key": "sipHash64(run_id, variant, phase)"},
    "open_waits": {"wait_key": "sipHash64(subject, wait_id)", "answered": "false"},
}


def fill_database(settings: Settings) -> None:
    """The data set of the benchmarks, and the rows for reading as the exact views have them.

    The role `materialize` takes a minute of CPU time for so many runs; ClickHouse writes all rows at once.
    """
    migrate(settings)
    client = connect(settings)
    exact = {name: _definition(client, name) for name in _OF_TABLES}
    backfill = Backfill(client, Writer(settings))
    while backfill.step():
        pass  # nothing is there yet: from here on the views read the tables
    fill(client, MANY)
    for name, more in _OF_TABLES.items():
        columns = _columns(client, f"raw_{name}")
        values = [
            more.get(column, {"row_version": "1", "gone": "0"}.get(column, column)) for column in columns
        ]
        client.command(
            f"INSERT INTO raw_{name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM ({exact[name]})"
        )
    # As the role tells once it has written the rows of all facts.
    client.command("INSERT INTO raw_read_up_to (slots, slot, at) SELECT 1, 0, now64(6)")


def _definition(client: Client, view: str) -> str:
    sql = "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
    return str(client.query(sql, parameters={"name": view}).result_rows[0][0])


def _columns(client: Client, table: str) -> list[str]:
    sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {name:String}"
    return [str(name) for (name,) in client.query(sql, parameters={"name": table}).result_rows]


@contextmanager
def many_runs(site: WholeStack, folder: Path) -> Iterator[WholeStack]:
    """A web server of its own beside a stack: on a database of its own in the stack's ClickHouse."""
    address, _, _ = site.settings.clickhouse_url.get_secret_value().rpartition("/")
    database = f"{address}/upshot_many{uuid4().hex[:12]}"
    settings = Settings.model_validate(
        {"clickhouse_url": database, "kafka_url": site.settings.kafka_url, "data_dir": folder}
    )
    fill_database(settings)
    port = choose_ports(folder / "ports.json", {"web": 0})["web"]
    environment = clean_environment() | {
        "UPSHOT_CLICKHOUSE_URL": database,
        "UPSHOT_KAFKA_URL": settings.kafka_url,
    }
    command = [sys.executable, "-m", "upshot.web", "--port", str(port), "--data-dir", str(folder)]
    with (folder / "web.log").open("wb") as log:
        web = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(port, web)
        yield replace(site, data_dir=folder, ports={**site.ports, "web": port}, settings=settings)
    finally:
        web.terminate()
        assert web.wait(START) == 0, (folder / "web.log").read_text()


def _wait_for(port: int, web: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START
    while time.monotonic() < give_up:
        assert web.poll() is None, "the web server ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/zone").close()
            return
        except urllib.error.URLError:
            time.sleep(LOOK)
    raise AssertionError("the web server doesn't answer")


__all__ = ["MANY", "many_runs"]

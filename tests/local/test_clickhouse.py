"""The real engine keeps its promises to the stack, and its users to their rights."""

from __future__ import annotations

import importlib.metadata
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from upshot.errors import PartFailed
from upshot.local import clickhouse_config, clickhouse_engine, clickhouse_users
from upshot.local.clickhouse import ClickHouseServer
from upshot.settings import LOCAL_USER, LOCAL_VIEWER

pytestmark = pytest.mark.stack
START = 120.0


@contextmanager
def connect(
    server: ClickHouseServer, user: str = LOCAL_USER, password: str | None = None
) -> Iterator[Client]:
    """As `user`, by default with the right password."""
    passwords = server.credentials._asdict()
    password = passwords.get(user, "") if password is None else password
    with closing(
        clickhouse_connect.get_client(
            host="127.0.0.1", port=server.http_port, username=user, password=password, database="upshot"
        )
    ) as client:
        yield client


@pytest.fixture
def viewer(clickhouse: ClickHouseServer) -> Iterator[Client]:
    with connect(clickhouse) as app:
        app.command("CREATE OR REPLACE TABLE seen (n Int64) ENGINE = MergeTree ORDER BY n")
        app.insert("seen", [[1], [2]], column_names=["n"])
    with connect(clickhouse, LOCAL_VIEWER) as client:
        yield client


def test_data_and_address_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path)
    server.start()
    try:
        server.wait_ready(START)
        ports = server.http_port, server.tcp_port
        with connect(server) as client:
            client.command("CREATE TABLE facts (n Int64) ENGINE = MergeTree ORDER BY n")
            client.insert("facts", [[n] for n in range(1_000)], column_names=["n"])
        server.stop()
        assert server.last_end() == "ended with exit code 0"

        server.start()
        server.wait_ready(START)
        with connect(server) as client:
            client.insert("facts", [[n] for n in range(1_000, 3_000)], column_names=["n"])
            server.kill()
        assert not server.alive()

        server.start()
        server.wait_ready(START)
        assert (server.http_port, server.tcp_port) == ports
        with connect(server) as client:
            assert client.query("SELECT count(), sum(n) FROM facts").first_row == (3_000, sum(range(3_000)))
    finally:
        server.stop()


def test_the_viewer_reads(viewer: Client) -> None:
    assert viewer.query("SELECT sum(n) FROM seen").first_row == (3,)
    tables = "SELECT count() FROM information_schema.tables WHERE table_name = 'seen'"
    assert viewer.query(tables).first_row == (1,)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO seen VALUES (3)",
        "DROP TABLE seen",
        "CREATE TABLE mine (n Int64) ENGINE = Memory",
        "CREATE TEMPORARY TABLE mine (n Int64)",
        "SET readonly = 0",
        "SET max_execution_time = 0",
        "SELECT * FROM file('users.xml', 'LineAsString')",
        "SELECT file('users.xml')",
        "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'upshot', 'seen')",
        "SELECT * FROM executable('x', 'TSV', 'x String')",
        "SELECT * FROM python('x')",
        "SELECT * FROM python('x') SETTINGS allow_python_table_function = 1",
        "SELECT name FROM system.users",
        "SYSTEM STOP LISTEN HTTP",
    ],
)
def test_the_viewer_is_refused(viewer: Client, clickhouse: ClickHouseServer, sql: str) -> None:
    with pytest.raises(ClickHouseError):
        viewer.raw_query(sql)
    assert viewer.query("SELECT sum(n) FROM seen").first_row == (3,)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("default", ""),
        ("default", "upshot"),
        (LOCAL_USER, ""),
        (LOCAL_USER, "upshot"),
        (LOCAL_VIEWER, ""),
        ("nobody", ""),
    ],
)
def test_nobody_else_gets_in(clickhouse: ClickHouseServer, user: str, password: str) -> None:
    with pytest.raises(ClickHouseError), connect(clickhouse, user, password) as client:
        client.query("SELECT 1")


def test_many_may_come_at_once(viewer: Client, clickhouse: ClickHouseServer) -> None:
    everybody_is_there = threading.Barrier(20, timeout=START)

    def ask(number: int) -> int:
        with connect(clickhouse, (LOCAL_USER, LOCAL_VIEWER)[number % 2]) as client:
            everybody_is_there.wait()
            return sum(client.query("SELECT sum(n) FROM seen").first_row[0] for _ in range(5))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [15] * 20


@pytest.mark.parametrize(
    ("lock", "who"),
    [
        ("<max_sessions_for_user>1<", "default in without a password"),
        ('create_function("file"', "app read files by the function file"),
    ],
)
def test_an_engine_that_lets_in_whom_it_must_not_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str, who: str
) -> None:
    """As a version would that knows a lock no more."""
    users, engine = clickhouse_users.USERS, Path(clickhouse_engine.__file__).read_text()
    assert lock in users + engine
    changed = tmp_path / "engine.py"
    changed.write_text(engine.replace(lock, 'create_function("unused"'))
    monkeypatch.setattr(clickhouse_users, "USERS", users.replace(lock, "<max_sessions_for_user>9<"))
    monkeypatch.setattr(clickhouse_engine, "__file__", str(changed))
    server = ClickHouseServer(tmp_path)
    server.start()
    try:
        with pytest.raises(PartFailed, match=f"clickhouse let {who}"):
            server.wait_ready(START)
        assert not server.alive()
    finally:
        server.stop()


@pytest.mark.parametrize("broken", ["engine.no_such_entry(", "engine.query(1, "])
def test_an_engine_whose_entry_changed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    changed = tmp_path / "engine.py"
    engine = Path(clickhouse_engine.__file__).read_text()
    changed.write_text(engine.replace("engine.query(", broken))
    monkeypatch.setattr(clickhouse_engine, "__file__", str(changed))
    server = ClickHouseServer(tmp_path)
    server.start()
    try:
        with pytest.raises(PartFailed, match=r"before it was ready(?s:.*)the engine could not serve"):
            server.wait_ready(START)
    finally:
        server.stop()


@pytest.mark.parametrize("found", [None, "26.8.1"])
def test_another_engine_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(PartFailed, match=r"install upshot\[local\], which pins chdb-core=="):
        ClickHouseServer(tmp_path).start()


def test_it_is_the_engine_we_mean(clickhouse: ClickHouseServer) -> None:
    with connect(clickhouse) as app:
        settings = dict(
            app.query("SELECT name, value FROM system.settings WHERE name LIKE 'async_insert'").result_rows
        )
        assert settings == {"async_insert": "0"}
        assert app.query("SELECT getSetting('network_compression_method')").first_row == ("LZ4",)
        assert app.server_version.startswith("26.9.")
        logs = "SELECT name FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree'"
        assert app.query(logs).result_rows == []
        assert app.raw_query("SELECT 1, 'a'") == b"1\ta\n"
        limit = "SELECT value FROM system.merge_tree_settings WHERE name = {name:String}"
        name = {"name": "number_of_free_entries_in_pool_to_execute_mutation"}
        assert app.query(limit, name).first_row == ("2",)


def test_a_token_makes_an_insert_count_once(clickhouse: ClickHouseServer) -> None:
    with connect(clickhouse) as app:
        app.command(
            "CREATE OR REPLACE TABLE once (n Int64) ENGINE = MergeTree ORDER BY n "
            "SETTINGS non_replicated_deduplication_window = 100"
        )
        for _ in range(2):
            app.insert("once", [[1]], column_names=["n"], settings={"insert_deduplication_token": "a:0:0-1"})
        assert app.query("SELECT count() FROM once").first_row == (1,)


def test_it_takes_no_rows_before_its_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the disk had a little less than what is to be kept free."""
    monkeypatch.setattr(clickhouse_config, "RESERVED_FREE", shutil.disk_usage(tmp_path).total)
    server = ClickHouseServer(tmp_path)
    server.start()
    server.wait_ready(START)
    try:
        with connect(server) as app:
            app.command("CREATE TABLE kept (n Int64) ENGINE = MergeTree ORDER BY n")
            with pytest.raises(ClickHouseError, match="NOT_ENOUGH_SPACE"):
                app.command("INSERT INTO kept VALUES (1)")
    finally:
        server.stop()


def test_its_data_directory_has_one_user_at_a_time(clickhouse: ClickHouseServer) -> None:
    with pytest.raises(PartFailed, match=r"clickhouse already runs in .*, started by process \d+"):
        ClickHouseServer(clickhouse.data_dir).start()
    assert clickhouse.ready()


def test_a_taken_port_is_named(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    with pytest.raises(PartFailed, match=rf"port {clickhouse.http_port} \(http\) is taken"):
        ClickHouseServer(tmp_path, http_port=clickhouse.http_port).start()


def test_another_server_at_the_port_is_not_taken_for_ours(
    clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    assert clickhouse.ready()
    assert not ClickHouseServer(tmp_path, http_port=clickhouse.http_port).ready()

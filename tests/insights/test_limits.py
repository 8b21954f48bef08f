"""QueryLimits on the real engine: each query has them, ends with its reader, and says what to narrow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.insights.conftest import is_running, settings_of, until
from upshot.errors import ConfigurationError, QueryFailed
from upshot.insights.limits import QueryLimits
from upshot.insights.progress import QueryProgress
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.settings import Settings

pytestmark = pytest.mark.stack

ENDLESS = "SELECT sum(cityHash64(number)) FROM numbers(1e13)"
GREEDY = "SELECT count() FROM (SELECT number AS n FROM numbers(1e8) GROUP BY n)"


@pytest.fixture(params=["app", "viewer"])
def settings(request: pytest.FixtureRequest, clickhouse: ClickHouseServer) -> Settings:
    settings_of(clickhouse, "upshot")
    url = clickhouse.url if request.param == "app" else clickhouse.viewer_url
    return Settings.model_validate({"clickhouse_url": url})


def test_every_query_has_its_limits(settings: Settings) -> None:
    names = "max_execution_time", "max_memory_usage", "cancel_http_readonly_queries_on_client_close"
    sql = ", ".join(f"getSetting('{name}')" for name in names)
    [row] = Reader(settings, limits=QueryLimits(7, 10**9)).query(f"SELECT {sql}").rows
    assert [float(value) for value in row] == [7, 1e9, 1]


def test_a_query_over_its_time_says_what_to_narrow(settings: Settings) -> None:
    with pytest.raises(QueryFailed, match=r"stopped at its time limit.*started_at.*score_rows"):
        Reader(settings, limits=QueryLimits(seconds=1)).query(ENDLESS)


def test_a_query_over_its_memory_says_what_to_narrow(settings: Settings) -> None:
    with pytest.raises(QueryFailed, match=r"too much memory.*started_at"):
        Reader(settings, limits=QueryLimits(memory_bytes=5_000_000)).query(GREEDY)


def test_narrower_limits_of_the_server_hold(clickhouse: ClickHouseServer) -> None:
    viewer = Settings.model_validate({"clickhouse_url": clickhouse.viewer_url})
    reader = Reader(viewer, limits=QueryLimits(seconds=100_000, memory_bytes=10**12))
    assert reader.query("SELECT getSetting('max_execution_time') <= 75").rows == [[True]]


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigurationError, match="more than 0"):
        QueryLimits(seconds=0)


@pytest.mark.parametrize("settings_clause", ["", " SETTINGS async_insert = 0"])
def test_settings_of_its_own_do_not_make_a_query_write(settings: Settings, settings_clause: str) -> None:
    with pytest.raises(QueryFailed, match="only reading"):
        Reader(settings).query(f"INSERT INTO raw_alerts (alert_id){settings_clause} VALUES ('x')")


def test_progress_is_told_before_the_answer(settings: Settings) -> None:
    heard: list[QueryProgress] = []
    reader = Reader(settings, limits=QueryLimits(seconds=2), listener=heard.append)
    with pytest.raises(QueryFailed):
        reader.query(ENDLESS)
    assert len(heard) > 2
    assert heard[-1].rows > heard[0].rows >= 0 and heard[-1].seconds > heard[0].seconds


def test_a_reader_that_hangs_up_ends_the_query(clickhouse: ClickHouseServer) -> None:
    owner = Reader(Settings.model_validate({"clickhouse_url": clickhouse.url}))
    rows = owner.stream("SELECT number AS hung_up FROM numbers(1e13) WHERE NOT ignore(number)", "jsonl")
    next(rows)
    assert is_running(clickhouse, "hung_up")
    rows.close()  # type: ignore[attr-defined]
    until(lambda: not is_running(clickhouse, "hung_up"))


def test_a_reader_that_hangs_up_before_the_answer_ends_the_query(clickhouse: ClickHouseServer) -> None:
    settings = Settings.model_validate({"clickhouse_url": clickhouse.url})

    class Cancelled(Exception):
        pass

    def cancel(progress: QueryProgress) -> None:
        if is_running(clickhouse, "silent"):
            raise Cancelled

    with pytest.raises(Cancelled):
        Reader(settings, limits=QueryLimits(seconds=20), listener=cancel).query(
            ENDLESS.replace(" FROM", " AS silent FROM")
        )
    until(lambda: not is_running(clickhouse, "silent"))


@pytest.mark.parametrize(
    ("shape", "sql"),
    [("jsonl", "SELECT number AS {} FROM numbers(1e13)"), ("table", ENDLESS.replace(" FROM", " AS {} FROM"))],
    ids=["while rows arrive", "before the answer"],
)
def test_ctrl_c_ends_the_query_of_the_command_line(
    clickhouse: ClickHouseServer, shape: str, sql: str
) -> None:
    mark = f"interrupted_{shape}"
    command = [sys.executable, "-m", "upshot.cli", "query", "--format", shape, sql.format(mark)]
    environ = {**os.environ, "UPSHOT_CLICKHOUSE_URL": clickhouse.url}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        until(lambda: is_running(clickhouse, mark))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0
    until(lambda: not is_running(clickhouse, mark))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 FROM score_row", r"perhaps score_rows.*views: .*current_scores.*runs"),
        ("SELECT agnt FROM score_rows", r"perhaps agent.*columns of score_rows: .*value"),
        (
            "SELECT {limit:UInt8}, {other:String}",
            r"the query's parameters: limit \(UInt8\), other \(String\)",
        ),
        ("SELECT CAST(1, 'Integr64')", r"types that exist: String, Bool"),
    ],
)
def test_what_does_not_exist_says_what_does(empty: Reader, sql: str, said: str) -> None:
    with pytest.raises(QueryFailed, match=said):
        empty.query(sql)


def test_a_timeout_stands_for_limits_of_so_many_seconds() -> None:
    settings = Settings.model_validate({"clickhouse_url": "http://127.0.0.1:1"})
    given = Reader(settings, timeout=7, limits=QueryLimits(memory_bytes=5))
    assert given.limits == QueryLimits(7, 5)

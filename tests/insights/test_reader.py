"""Reading from the real engine: formats, parameters, refusals, and that nothing can be changed."""

from __future__ import annotations

import csv
import io
import json
import socket
from datetime import UTC, datetime

import pyarrow.ipc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.insights.conftest import settings_of
from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.insights.reader import Format, Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.settings import LOCAL_VIEWER, Settings

pytestmark = pytest.mark.stack

THREE = "SELECT number AS n, concat('a\\n\"', toString(number)) AS text FROM numbers(3)"
AS_OBJECTS = [{"n": n, "text": f'a\n"{n}'} for n in range(3)]


def all_of(reader: Reader, sql: str, format: Format) -> bytes:
    return b"".join(reader.stream(sql, format))


def test_rows_with_their_columns(empty: Reader) -> None:
    answer = empty.query("SELECT 18446744073709551615 AS big, NULL AS none, [1, 2] AS list, 0 / 0 AS nan")
    assert (answer.columns[0].name, answer.columns[0].type) == ("big", "UInt64")
    assert answer.objects() == [{"big": 18446744073709551615, "none": None, "list": [1, 2], "nan": None}]


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are(empty: Reader) -> None:
    assert empty.query("SELECT concat('a', char(0), unhex('ff'), 'b')").rows == [
        ["a\0\N{REPLACEMENT CHARACTER}b"]
    ]


def test_json(empty: Reader) -> None:
    assert json.loads(all_of(empty, THREE, "json")) == AS_OBJECTS
    assert json.loads(all_of(empty, "SELECT 1 AS n WHERE 0", "json")) == []


def test_json_lines(empty: Reader) -> None:
    assert [json.loads(line) for line in all_of(empty, THREE, "jsonl").splitlines()] == AS_OBJECTS


def test_csv(empty: Reader) -> None:
    rows = list(csv.DictReader(io.StringIO(all_of(empty, THREE, "csv").decode(), newline="")))
    assert [{"n": int(row["n"]), "text": row["text"]} for row in rows] == AS_OBJECTS


def test_arrow(empty: Reader) -> None:
    with pyarrow.ipc.open_stream(all_of(empty, THREE, "arrow")) as stream:
        assert stream.read_all().to_pylist() == AS_OBJECTS


def test_table(empty: Reader) -> None:
    text = all_of(empty, "SELECT 'x' AS name, 1 AS n", "table").decode()
    assert "name" in text and "x" in text and "\x1b" not in text


def test_a_long_answer_arrives_whole_and_in_pieces(empty: Reader) -> None:
    pieces = list(empty.stream("SELECT number AS n FROM numbers(300000)", "json"))
    assert [row["n"] for row in json.loads(b"".join(pieces))] == list(range(300_000))
    assert len(pieces) > 10


def test_a_format_of_its_own_comes_first(empty: Reader) -> None:
    assert all_of(empty, "SELECT 1 FORMAT CSV", "json") == b"1\n"
    with pytest.raises(QueryFailed, match="FORMAT clause"):
        empty.query("SELECT 1 FORMAT CSV")


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_any_text_can_be_a_parameter(empty: Reader, text: str) -> None:
    text = text.encode(errors="ignore").decode()
    [[bytes_of]] = empty.query("SELECT hex({text:String})", {"text": text}).rows
    assert bytes.fromhex(str(bytes_of)).decode() == text


def test_numbers_booleans_and_instants_as_parameters(empty: Reader) -> None:
    sql = "SELECT {n:UInt64} + 1, NOT {yes:Bool}, {when:DateTime64(6, 'UTC')}"
    when = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    answer = empty.query(sql, {"n": 41, "yes": True, "when": when})
    assert answer.rows == [[42, False, "2026-03-01 12:00:00.250000"]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO raw_alerts (alert_id) VALUES ('x')",
        "DROP TABLE raw_alerts",
        "CREATE TABLE mine (n Int8) ENGINE = Memory",
        "ALTER TABLE raw_alerts DELETE WHERE 1",
        "TRUNCATE TABLE raw_alerts",
    ],
)
@pytest.mark.parametrize("user", ["app", LOCAL_VIEWER])
def test_nothing_can_be_changed(clickhouse: ClickHouseServer, user: str, sql: str) -> None:
    with pytest.raises(QueryFailed, match="only reading"):
        _reader_as(clickhouse, user).query(sql)


def test_the_viewer_reads_the_views(clickhouse: ClickHouseServer) -> None:
    viewer = _reader_as(clickhouse, LOCAL_VIEWER)
    assert viewer.query("SELECT count() FROM current_scores").columns[0].type == "UInt64"
    assert all_of(viewer, "SELECT 1 AS n", "jsonl") == b'{"n":1}\n'


def _reader_as(clickhouse: ClickHouseServer, user: str) -> Reader:
    owner = settings_of(clickhouse, "upshot")
    viewer = Settings.model_validate({"clickhouse_url": clickhouse.viewer_url})
    return Reader(owner if user == "app" else viewer)


@pytest.mark.parametrize(
    ("sql", "said", "advice"),
    [
        ("SELECT nothing FROM runs", "nothing", "DESCRIBE TABLE"),
        ("SELECT * FROM nowhere", "nowhere", "SHOW TABLES"),
        ("SELECT 1 FROM runs WHERE", "Syntax error", "correct the SQL"),
        ("SELECT {n:UInt8}", "`n`", "every parameter"),
        (
            "SELECT sum(cityHash64(number)) FROM numbers(1e12) SETTINGS max_execution_time = 0.1",
            "",
            "too long",
        ),
        (
            (
                "SELECT count() FROM (SELECT number AS n FROM numbers(1e8) GROUP BY n) SETTINGS "
                "max_memory_usage = 1e6"
            ),
            "emory limit",
            "too much memory",
        ),
    ],
)
def test_a_refusal_says_what_clickhouse_says_and_what_to_do(
    empty: Reader, sql: str, said: str, advice: str
) -> None:
    with pytest.raises(QueryFailed) as refused:
        empty.query(sql)
    message = str(refused.value)
    assert said in message and advice in message
    assert "\n" not in message and "(version" not in message and "Expected one of" not in message


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_failure_in_the_middle_comes_after_what_arrived(empty: Reader, format: Format) -> None:
    arrived = []
    with pytest.raises(QueryFailed, match="throwIf"):
        for piece in empty.stream("SELECT throwIf(number = 3000000) AS n FROM numbers(5000000)", format):
            arrived.append(piece)
    text = b"".join(arrived)
    assert len(text) > 1_000_000 and b"exception" not in text and b"DB::" not in text


def test_nobody_answers(clickhouse: ClickHouseServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ClickHouseUnavailable, match=f"127.0.0.1:{port}.*start it"):
            Reader(Settings(clickhouse_url=f"http://app:x@127.0.0.1:{port}/upshot")).query("SELECT 1")


def test_a_wrong_password(clickhouse: ClickHouseServer) -> None:
    url = f"http://app:wrong@127.0.0.1:{clickhouse.http_port}/upshot"
    with pytest.raises(ClickHouseUnavailable, match="check user and password in UPSHOT_CLICKHOUSE_URL"):
        Reader(Settings(clickhouse_url=url)).query("SELECT 1")


def test_a_database_that_is_not_there(clickhouse: ClickHouseServer) -> None:
    url = clickhouse.url.removesuffix("upshot") + "nowhere"
    with pytest.raises(QueryFailed, match="upshot migrate"):
        Reader(Settings(clickhouse_url=url)).query("SELECT count() FROM runs")

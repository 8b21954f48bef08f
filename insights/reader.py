"""Reading from ClickHouse for people and programs: SQL in, rows or bytes out; nothing is ever changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from upshot.errors import ClickHouseUnavailable, QueryFailed, UpshotError
from upshot.insights.cells import without_formulas
from upshot.insights.known_names import NO_COLUMN, NO_PARAMETER, NO_TABLE, what_exists
from upshot.insights.limits import USUAL, QueryLimits
from upshot.insights.named_queries.query import NamedQuery
from upshot.insights.progress import TELLING, ProgressListener, tell
from upshot.insights.refusals import code_of, first_line, parted, refusal
from upshot.insights.stopping import QueryStop
from upshot.settings import Settings

#: `table` for eyes, `json` as one array of objects, `jsonl` as an object per line, `csv` with a line of
#: names, `arrow` as an Arrow stream, `parquet` as a file of Apache Parquet.
Format = Literal["table", "json", "jsonl", "csv", "arrow", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_THEIR_NAMES: Mapping[Format, str] = MappingProxyType(
    {
        "table": "PrettyCompactMonoBlock",
        "json": "JSONEachRow",
        "jsonl": "JSONEachRow",
        "csv": "CSVWithNames",
        "arrow": "ArrowStream",
        "parquet": "Parquet",
    }
)
_FOR_ROWS = "JSONCompact"
#: A setting of ours that this user may not make.
_OURS_REFUSED = re.compile(
    r"Cannot modify '(?:readonly|max_execution_time|timeout_overflow_mode|max_memory_usage|default_format|"
    r"optimize_move_to_prewhere_if_final|cancel_http_readonly_queries_on_client_close|send_progress_in_http_headers|"
    r"http_headers_progress_interval_ms)'"
)
#: With FINAL, too, rows are chosen by their key before other columns are read. Not for SQL of others: some
#: versions of ClickHouse refuse queries with it that don't select the key.
_BY_KEY: Mapping[str, str] = MappingProxyType({"optimize_move_to_prewhere_if_final": "1"})
_BLOCK = 64 * 1024
#: ClickHouse puts an error arising during the answer at the end of the answer.
_LONGEST_ERROR = 16 * 1024
_READONLY, _CONSTRAINED = 164, 452
#: Seconds that a reader waits beyond the query's time limit.
_PATIENCE = 10.0
#: Bytes that `Reader.query` holds in memory by default; rows in Python take several times as much.
ANSWER_BYTES = 64 * 1024 * 1024
#: The same for work over recorded data, which needs all of it.
WORK_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Column:
    """A column of an answer: its name and ClickHouse's type."""

    name: str
    type: str


@dataclass(frozen=True)
class QueryResult:
    """The rows of a query. Instants are text in UTC, as ClickHouse writes them in JSON."""

    columns: tuple[Column, ...]
    rows: list[list[Any]]
    #: Rows that ClickHouse had read when the answer began; of sums all that it read.
    read_rows: int = 0

    def objects(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Reader:
    """Queries ClickHouse. Threads may share a reader; nothing stays open between two calls.

    Every call raises ClickHouseUnavailable where ClickHouse doesn't answer, and QueryFailed with ClickHouse's
    own first line for a refused query. Queries that would change data are refused. Each query has its
    `limits`, and is cancelled in ClickHouse where the reader stops reading. `listener` hears of the progress.
    `stop` ends the running query. `timeout` stands for limits of so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout: float | None = None,
        limits: QueryLimits = USUAL,
        answer_bytes: int = ANSWER_BYTES,
        listener: ProgressListener | None = None,
        stop: QueryStop | None = None,
    ) -> None:
        self._settings = settings
        self._address = settings.clickhouse
        self.limits = limits if timeout is None else replace(limits, seconds=timeout)
        self._answer_bytes = answer_bytes
        self._listener = listener
        self._stop = stop
        self._options: Mapping[str, str] = MappingProxyType({})

    def with_limits(self, limits: QueryLimits) -> Reader:
        """A reader of the same database with other limits."""
        return Reader(self._settings, limits=limits, answer_bytes=self._answer_bytes)

    def by_key(self) -> Reader:
        """The same reader for queries about one thing, which select its key, and compare it with a value.

        ClickHouse then reads wide columns of that thing's rows alone, not of thousands around them.
        """
        reader = copy(self)
        reader._options = _BY_KEY
        return reader

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> QueryResult:
        """All rows of the answer, in memory. Raises QueryFailed for an answer longer than `answer_bytes`."""
        with self._asked(sql, _FOR_ROWS, parameters) as response:
            body = b"".join(self._bounded(_blocks(response)))
            own_format = response.getheader("X-ClickHouse-Format", _FOR_ROWS) != _FOR_ROWS
            read_rows = int(json.loads(response.getheader("X-ClickHouse-Summary", "{}")).get("read_rows", 0))
        if not body:
            return QueryResult((), [])
        if own_format:
            raise QueryFailed("the query has a FORMAT clause and gives bytes instead of rows: leave it out")
        answer = json.loads(body.decode("utf-8", "replace"))
        columns = tuple(Column(column["name"], column["type"]) for column in answer["meta"])
        return QueryResult(columns, answer["data"], read_rows)

    def ask(self, query: NamedQuery, parameters: Mapping[str, object] | None = None) -> QueryResult:
        """The answer to a named query; absent `parameters` have their defaults."""
        return self.query(query.sql, {**query.parameters, **(parameters or {})})

    def _bounded(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        left = self._answer_bytes
        for block in blocks:
            left -= len(block)
            if left < 0:
                raise QueryFailed(
                    f"the answer is longer than {self._answer_bytes / 2**20:,.0f} MiB, and was given up: ask "
                    "for fewer rows (WHERE, LIMIT) or without the columns that hold whole events, such as "
                    "payload; or have it as it comes, by  upshot query --format jsonl"
                )
            yield block

    def stream(
        self,
        sql: str,
        format: Format,
        parameters: Mapping[str, object] | None = None,
        *,
        exact: bool = True,
    ) -> Iterator[bytes]:
        """The answer as bytes, as they arrive. A FORMAT clause in the query itself comes first.

        Where CSV needn't be `exact`, no cell is a formula for a spreadsheet (see `cells`). Where ClickHouse
        fails in the middle, the bytes so far are yielded before the exception.
        """
        with self._asked(sql, _THEIR_NAMES[format], parameters) as response:
            # Not where the query has its own FORMAT.
            named = response.getheader("X-ClickHouse-Format", "")
            blocks = _blocks(response)
            if named.startswith("CSV") and not exact:
                blocks = without_formulas(blocks)
            yield from _array(blocks) if format == "json" and named == "JSONEachRow" else blocks

    @contextmanager
    def _asked(
        self, sql: str, their_format: str, parameters: Mapping[str, object] | None
    ) -> Iterator[HTTPResponse]:
        connection = self._connection()
        options = {f"param_{name}": _text(value) for name, value in (parameters or {}).items()}
        options |= {"database": self._address.database, "default_format": their_format}
        try:
            response = self._answered(connection, sql, options)
            if response.status != 200 or response.getheader("X-ClickHouse-Exception-Code"):
                raise self._refusal(sql, response.read().decode("utf-8", "replace"))
            yield response
        except (OSError, HTTPException) as error:
            raise ClickHouseUnavailable(
                f"ClickHouse does not answer at {self._address.host}:{self._address.port} ({error}): "
                "start it, or correct UPSHOT_CLICKHOUSE_URL"
            ) from None
        finally:
            connection.close()

    def _answered(self, connection: HTTPConnection, sql: str, options: Mapping[str, str]) -> HTTPResponse:
        """The answer of ClickHouse, with as many of our settings as this user may make; always read-only."""
        telling = TELLING if self._listener else {}
        limits = {**self.limits.settings(), **self._options, **telling, **self._address.options}
        # 2, not 1: with 1 a query with settings of its own is refused.
        response = self._sent(connection, sql, {**options, **limits, "readonly": "2"})
        code = response.getheader("X-ClickHouse-Exception-Code")
        if code == str(_CONSTRAINED) and "readonly" not in self._address.options:
            # The server's own limits are narrower, and hold.
            response.read()
            narrower = {name: value for name, value in limits.items() if not name.startswith("max_")}
            return self._sent(connection, sql, {**options, **narrower, "readonly": "2"})
        if code == str(_READONLY):
            text = response.read().decode("utf-8", "replace")
            if not _OURS_REFUSED.search(text):
                raise refusal(text)
            # This user is read-only already, and may make no settings.
            return self._sent(connection, sql, {**options, **self._address.options})
        return response

    def _refusal(self, sql: str, text: str) -> UpshotError:
        """The exception for ClickHouse's error, with the names that exist."""
        refused, code = refusal(text), code_of(text)
        if code not in (NO_TABLE, NO_COLUMN, NO_PARAMETER):
            return refused
        quick = self.with_limits(QueryLimits(seconds=5))
        try:
            known = what_exists(
                code, first_line(text), sql, lambda ask, values: quick.query(ask, values).rows
            )
        except UpshotError:  # the refusal is the news
            known = ""
        return QueryFailed(f"{refused}; {known}") if known else refused

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._address.secure else HTTPConnection
        connection = kind(self._address.host, self._address.port, timeout=self.limits.seconds + _PATIENCE)
        if self._listener:
            tell(connection, self._listener)
        return connection

    def _sent(self, connection: HTTPConnection, sql: str, options: Mapping[str, str]) -> HTTPResponse:
        headers = {
            "X-ClickHouse-User": self._address.user,
            "X-ClickHouse-Key": self._address.password,
            "Content-Type": "text/plain; charset=utf-8",
        }
        connection.request("POST", "/?" + urlencode(options), sql.encode(), headers)
        if self._stop:
            self._stop.follow(connection.sock)
        return connection.getresponse()


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yields the answer, up to an error possibly put at its end by ClickHouse; then raises the error."""
    held = b""
    broken: Exception | None = None
    while True:
        try:
            block = response.read1(_BLOCK)
        except (HTTPException, ValueError, OSError) as error:
            broken, block = error, b""
        if not block:
            break
        held += block
        yield held[:-_LONGEST_ERROR]
        held = held[-_LONGEST_ERROR:]
    answer, error_text = parted(held, response.getheader("X-ClickHouse-Exception-Tag"), broken is not None)
    yield answer
    if error_text:
        raise refusal(error_text)
    if broken is not None:
        raise ClickHouseUnavailable(f"ClickHouse broke off in the middle of its answer ({broken}): ask again")


def _array(lines: Iterator[bytes]) -> Iterator[bytes]:
    """JSON objects, a line each, as a single JSON array."""
    yield b"["
    held = False
    for block in lines:
        # A newline is never inside of an object, where it is escaped. A newline at the end waits for more.
        yield (b",\n" if held else b"") + block.removesuffix(b"\n").replace(b"\n", b",\n")
        held = block.endswith(b"\n")
    yield b"]\n"


def _text(value: object) -> str:
    """A parameter's value in ClickHouse's spelling: escaped as in tab-separated text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


__all__ = ["ANSWER_BYTES", "FORMATS", "WORK_BYTES", "Column", "Format", "QueryResult", "Reader"]

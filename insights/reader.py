"""Reading from ClickHouse for people and programs: SQL in, rows or bytes out; nothing is ever changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.insights.cells import without_formulas
from upshot.insights.questions import NamedQuery
from upshot.insights.refusals import parted, refusal
from upshot.settings import Settings

#: `table` for eyes, `json` as one array of objects, `jsonl` as an object per line, `csv` with a line of
#: names, `arrow` as an Arrow stream.
Format = Literal["table", "json", "jsonl", "csv", "arrow"]
FORMATS: tuple[Format, ...] = get_args(Format)

_THEIR_NAMES: Mapping[Format, str] = MappingProxyType(
    {
        "table": "PrettyCompactMonoBlock",
        "json": "JSONEachRow",
        "jsonl": "JSONEachRow",
        "csv": "CSVWithNames",
        "arrow": "ArrowStream",
    }
)
_FOR_ROWS = "JSONCompact"
_BLOCK = 64 * 1024
#: ClickHouse puts an error arising during the answer at the end of the answer.
_LONGEST_ERROR = 16 * 1024
_READONLY = 164
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

    def objects(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Reader:
    """Queries ClickHouse. Threads may share a reader; nothing stays open between two calls.

    Every call raises ClickHouseUnavailable where ClickHouse doesn't answer, and QueryFailed with ClickHouse's
    own first line for a refused query. Queries that would change data are refused.
    """

    def __init__(
        self, settings: Settings, *, timeout: float = 300.0, answer_bytes: int = ANSWER_BYTES
    ) -> None:
        self._address = settings.clickhouse
        self._timeout = timeout
        self._answer_bytes = answer_bytes

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> QueryResult:
        """All rows of the answer, in memory. Raises QueryFailed for an answer longer than `answer_bytes`."""
        with self._asked(sql, _FOR_ROWS, parameters) as response:
            body = b"".join(self._bounded(_blocks(response)))
            own_format = response.getheader("X-ClickHouse-Format", _FOR_ROWS) != _FOR_ROWS
        if not body:
            return QueryResult((), [])
        if own_format:
            raise QueryFailed("the query has a FORMAT clause and gives bytes instead of rows: leave it out")
        answer = json.loads(body.decode("utf-8", "replace"))
        columns = tuple(Column(column["name"], column["type"]) for column in answer["meta"])
        return QueryResult(columns, answer["data"])

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
        options |= self._address.options
        try:
            response = self._sent(connection, sql, options | {"readonly": "1"})
            if response.getheader("X-ClickHouse-Exception-Code") == str(_READONLY):
                text = response.read().decode("utf-8", "replace")
                if "Cannot modify" not in text:
                    raise refusal(text)
                # This user is read-only already and may not even say so.
                response = self._sent(connection, sql, options)
            if response.status != 200 or response.getheader("X-ClickHouse-Exception-Code"):
                raise refusal(response.read().decode("utf-8", "replace"))
            yield response
        except (OSError, HTTPException) as error:
            raise ClickHouseUnavailable(
                f"ClickHouse does not answer at {self._address.host}:{self._address.port} ({error}): "
                "start it, or correct UPSHOT_CLICKHOUSE_URL"
            ) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._address.secure else HTTPConnection
        return kind(self._address.host, self._address.port, timeout=self._timeout)

    def _sent(self, connection: HTTPConnection, sql: str, options: Mapping[str, str]) -> HTTPResponse:
        headers = {
            "X-ClickHouse-User": self._address.user,
            "X-ClickHouse-Key": self._address.password,
            "Content-Type": "text/plain; charset=utf-8",
        }
        connection.request("POST", "/?" + urlencode(options), sql.encode(), headers)
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

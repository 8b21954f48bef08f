"""`upshot.query(…)`: questions from Python and notebooks, with answers for pandas, Polars and Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upshot.errors import ConfigurationError, UpshotError
from upshot.insights.byte_file import ByteFile
from upshot.insights.known_names import check_parameters, nearest
from upshot.insights.limits import MEMORY_BYTES, SECONDS, QueryLimits
from upshot.insights.named_queries import named_query
from upshot.insights.reader import QueryResult, Reader
from upshot.settings import load_settings, local_viewer

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_SHOWN_ROWS, _SHOWN_CELL = 10, 40
_PREVIEW_SECONDS = 10


def query(
    sql: str | None = None,
    parameters: Mapping[str, object] | None = None,
    /,
    *,
    named: str | None = None,
    data_dir: str | Path | None = None,
    time_limit: float = SECONDS,
    memory_limit: int = MEMORY_BYTES,
    **more: object,
) -> Answer:
    """A question for ClickHouse, by SQL or by the name of a named query; asked where its answer is used.

    Values for `{name:Type}` in the SQL are given by name: `upshot.query("… {limit:UInt32}", limit=5)`, or as
    a mapping where a name is taken. The address comes from `UPSHOT_CLICKHOUSE_URL`, or from the stack running
    in `data_dir` (`.upshot` where absent). QueryLimits are seconds and bytes of ClickHouse's memory. Raises
    ConfigurationError for unknown names and parameters; the answer's methods raise QueryFailed for a refused
    query and ClickHouseUnavailable. Nothing can be changed this way.
    """
    if (sql is None) == (named is None):
        raise ConfigurationError('no query was run: give either SQL or named="…" (`upshot query --list`)')
    given = {**(parameters or {}), **more}
    asked = named_query(named) if named is not None else None
    text, about = (asked.sql, f"the named query {named}") if asked else (sql or "", "the query")
    check_parameters(about, text, given)
    values: dict[str, object] = {**(asked.parameters if asked else {}), **given}
    folder = Path(data_dir) if data_dir is not None else None
    if folder is not None and not (folder / "ports.json").exists():
        raise ConfigurationError(
            f"no query was run: no stack runs in {folder}; start it with  upshot up --data-dir {folder}"
        )
    settings = local_viewer(load_settings(data_dir=folder))
    return Answer(text, values, Reader(settings, limits=QueryLimits(time_limit, memory_limit)))


class Answer:
    """The answer to a query. The query runs at each use; a table once fetched is kept.

    Iterating gives rows as dicts while they arrive, `blocks` does so in Arrow's record batches: both hold
    little in memory, whatever the answer's length. The representation shows the first rows.
    """

    def __init__(self, sql: str, parameters: Mapping[str, object], reader: Reader) -> None:
        self.sql = sql
        self.parameters = dict(parameters)
        self._reader = reader
        self._table: pyarrow.Table | None = None

    def to_arrow(self) -> pyarrow.Table:
        """The whole answer as an Arrow table."""
        if self._table is None:
            _package("pyarrow", "to_arrow")
            with self._stream() as stream:
                self._table = stream.read_all()
        return self._table

    def to_pandas(self) -> pandas.DataFrame:
        """The whole answer as a pandas DataFrame."""
        _package("pandas", "to_pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """The whole answer as a Polars DataFrame."""
        return _package("polars", "to_polars").from_arrow(self.to_arrow())

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows; no package is needed. Instants are text in UTC."""
        return list(self)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows while they arrive; no package is needed. Leaving the loop cancels the query."""
        held = b""
        for block in self._reader.stream(self.sql, "jsonl", self.parameters):
            *lines, held = (held + block).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def blocks(self) -> Iterator[pyarrow.RecordBatch]:
        """Arrow record batches while they arrive. Leaving the loop cancels the query."""
        with self._stream() as stream:
            yield from stream

    def _stream(self) -> Any:
        _package("pyarrow", "blocks")
        return import_module("pyarrow.ipc").open_stream(
            ByteFile(self._reader.stream(self.sql, "arrow", self.parameters))
        )

    def __repr__(self) -> str:
        try:
            return f"{self._head()}\n{_drawn(self._preview())}"
        except UpshotError as error:
            return f"{self._head()}\n{error}"

    def _head(self) -> str:
        line = " ".join(self.sql.split())
        return f"<upshot.query {line[:100]}{'…' if len(line) > 100 else ''}>"

    def _preview(self) -> QueryResult:
        sql = f"SELECT * FROM (\n{self.sql.rstrip().rstrip(';')}\n) LIMIT {_SHOWN_ROWS + 1}"
        return self._reader.with_limits(QueryLimits(seconds=_PREVIEW_SECONDS)).query(sql, self.parameters)

    def __getattr__(self, name: str) -> Any:
        near = nearest(name, [one for one in dir(type(self)) if not one.startswith("_")])
        hint = f"; perhaps {' or '.join(near)}" if near else ""
        raise AttributeError(
            f"an answer of upshot.query has no {name!r}{hint}: it has to_pandas, to_polars, to_arrow, "
            "to_dicts, blocks, and can be iterated over"
        )


def _package(name: str, method: str) -> Any:
    """The package; raises ConfigurationError that says how to install an absent one."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        needed = error.name or name
        raise ConfigurationError(
            f"{method} needs the package {needed}, which is not installed; no query was run:  pip install "
            f"{needed}  (or iterate over the answer, which needs none)"
        ) from None


def _drawn(result: QueryResult) -> str:
    """The first rows as a table of text."""
    names = [column.name for column in result.columns]
    shown = [[_cell(value) for value in row] for row in result.rows[:_SHOWN_ROWS]]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    padded = [[text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in [names, *shown]]
    lines = ["  ".join(row).rstrip() for row in padded]
    more = "… and more rows" if len(result.rows) > _SHOWN_ROWS else f"{len(shown)} rows"
    return "\n".join([*lines, more])


def _cell(value: object) -> str:
    text = "" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= _SHOWN_CELL else text[: _SHOWN_CELL - 1] + "…"


__all__ = ["Answer", "query"]

"""How far a query is: ClickHouse says so in headers, before its answer begins."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple

_HEADER = b"X-ClickHouse-Progress:"


class QueryProgress(NamedTuple):
    """Rows and bytes read so far, of how many rows in all (0: unknown), and seconds since the beginning."""

    rows: int
    total_rows: int
    bytes: int
    seconds: float


ProgressListener = Callable[[QueryProgress], None]

#: Settings with which ClickHouse tells its progress.
TELLING = {"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "200"}


def tell(connection: HTTPConnection, listener: ProgressListener) -> None:
    """Have the connection's answers tell their progress: such headers can be more than a client takes."""

    class Response(HTTPResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.fp: Any = _Lines(self.fp, listener)

    connection.response_class = Response


class _Lines:
    """The connection's file, without the lines of progress."""

    def __init__(self, file: Any, listener: ProgressListener) -> None:
        self._file = file
        self._listener = listener

    def readline(self, *size: int) -> bytes:
        while (line := self._file.readline(*size)).startswith(_HEADER):
            self._listener(_parsed(line.removeprefix(_HEADER)))
        return bytes(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _parsed(text: bytes) -> QueryProgress:
    fields = json.loads(text)
    return QueryProgress(
        int(fields.get("read_rows", 0)),
        int(fields.get("total_rows_to_read", 0)),
        int(fields.get("read_bytes", 0)),
        int(fields.get("elapsed_ns", 0)) / 1e9,
    )


__all__ = ["TELLING", "ProgressListener", "QueryProgress", "tell"]

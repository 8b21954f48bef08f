"""Rows of ClickHouse, once they are as they should be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import clickhouse_connect

from upshot.settings import Settings

Rows = list[tuple[Any, ...]]


def eventually(settings: Settings, sql: str, enough: Callable[[Rows], bool], within: float = 30.0) -> Rows:
    """What `sql` gives as soon as `enough` says so; after `within` seconds, what it gives then."""
    client = clickhouse_connect.get_client(dsn=settings.clickhouse_url.get_secret_value())
    deadline = time.monotonic() + within
    try:
        while True:
            rows = [tuple(row) for row in client.query(sql).result_rows]
            if (rows and enough(rows)) or time.monotonic() > deadline:
                return rows
            time.sleep(0.02)
    finally:
        client.close()

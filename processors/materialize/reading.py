"""Connections of the role: sessions with temporary tables."""

from __future__ import annotations

from uuid import uuid4

from clickhouse_connect.driver.client import Client

from upshot.processors.store.connection import connect
from upshot.settings import Settings

#: Seconds for one statement about a batch.
TIMEOUT = 120
#: Bytes for one statement: far less than the server's, so that writing never starves readers.
MEMORY = 1_500_000_000


def open_session(settings: Settings) -> Client:
    """A client whose temporary tables last from one statement to the next."""
    return connect(
        settings,
        timeout=TIMEOUT + 10,
        session=f"upshot-materialize-{uuid4().hex}",
        options={
            "max_memory_usage": MEMORY,
            "max_execution_time": TIMEOUT,
            "session_timeout": 2 * TIMEOUT,
            "max_partitions_per_insert_block": 0,
            "join_use_nulls": 0,
            "insert_deduplicate": 0,
            "async_insert": 0,
            # No run is twice in a batch, and what stands under one key is merged anyway.
            "optimize_on_insert": 0,
            "select_sequential_consistency": 1,
        },
    )


__all__ = ["MEMORY", "TIMEOUT", "open_session"]

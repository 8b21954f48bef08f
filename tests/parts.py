"""A part, or a Kafka client, that runs for the length of a `with`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from upshot.local.process import ProcessPart

P = TypeVar("P", bound=ProcessPart)

START = 120.0
"""Seconds until a start counts as failed: far above what it takes, since the first one fetches Kafka."""


@contextmanager
def running(part: P) -> Iterator[P]:
    """`part`, started and answering; stopped at the end."""
    part.start()
    try:
        part.wait_ready(START)
        yield part
    finally:
        part.stop()


C = TypeVar("C", bound=Any)


@asynccontextmanager
async def started(client: C) -> AsyncIterator[C]:
    """aiokafka's producer, consumer or admin client; closed at the end, and where its start fails."""
    try:
        await client.start()
        yield client
    finally:
        await (client.close() if hasattr(client, "close") else client.stop())

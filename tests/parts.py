"""A part that runs for the length of a `with`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

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

"""The results of a record at the store."""

from __future__ import annotations

from typing import NamedTuple

from upshot.errors import InvalidEvent
from upshot.processors.store.packed import Row


class RefusedRow(NamedTuple):
    """The record is no valid event: to be dead-lettered by the store."""

    error: InvalidEvent


class Skipped(NamedTuple):
    """The record is no valid event, and the join dead-letters it."""

    error: InvalidEvent


class NothingToStore(NamedTuple):
    """The record asks for something to be forgotten: nothing to store. Rows are deleted by the sender."""


Result = Row | RefusedRow | Skipped | NothingToStore

__all__ = ["NothingToStore", "RefusedRow", "Result", "Skipped"]

"""Closes connections without a whole request head, so that other connections find room."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

#: Seconds that a new connection has for the head of its first request.
HEAD_WITHIN = 10.0
#: Connections without a head at a time; of more, the oldest are closed.
MAX_WAITING = 512
#: Seconds that a connection stays open between two requests, its next head included. Longer than clients keep
#: theirs.
KEEP_ALIVE = 75.0
_EVERY = 0.5
_MANY_FILES = 65_536


class Connections:
    """Knows which connections have sent a request head; `close_idle` closes others."""

    def __init__(self) -> None:
        self._asked: set[Any] = set()
        self._since: dict[Any, float] = {}

    def has_asked(self, connection: Any) -> None:
        """Note a connection as having sent a request head."""
        self._asked.add(connection)

    def close_idle(self, opened: Sequence[Any], now: float) -> None:
        """Close connections without a head for too long, or over the limit; `opened` are all connections."""
        self._asked.intersection_update(opened)
        waiting = [connection for connection in opened if connection not in self._asked]
        self._since = {connection: self._since.get(connection, now) for connection in waiting}
        oldest = sorted(waiting, key=self._since.__getitem__)
        late = [connection for connection in oldest if now - self._since[connection] > HEAD_WITHIN]
        for connection in dict.fromkeys([*late, *oldest[: max(0, len(oldest) - MAX_WAITING)]]):
            connection.force_close()

    @asynccontextmanager
    async def watching(self, opened: Callable[[], Sequence[Any]]) -> AsyncIterator[None]:
        """Close idle connections from time to time."""
        task = asyncio.create_task(self._watch(opened))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _watch(self, opened: Callable[[], Sequence[Any]]) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            self.close_idle(opened(), monotonic())


def allow_many_files() -> None:
    """Let this process have as many connections as the system grants; most processes begin with 1,024."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if most == resource.RLIM_INFINITY else min(most, _MANY_FILES)
    if least < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


__all__ = ["HEAD_WITHIN", "KEEP_ALIVE", "MAX_WAITING", "Connections", "allow_many_files"]

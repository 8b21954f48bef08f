"""Stopping a query from another thread: its connection is shut, and ClickHouse cancels the query."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class QueryStop:
    """Stops the queries that follow it; threads may share it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_stopped = False

    def follow(self, connection: socket.socket | None) -> None:
        """Learn the connection of the running query; a query begun after the stop ends at once."""
        with self._mutex:
            self._socket = connection
            if self.is_stopped:
                self._shut()

    def stop(self) -> None:
        """Stop the query: its reader has ClickHouseUnavailable."""
        with self._mutex:
            self.is_stopped = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


__all__ = ["QueryStop"]

"""Connections that are still open when all tests have ended, told and closed before the garbage collector.

The collector warns of an open connection after the summary only, says nothing of its owner, and fails a run
in which every test passed.
"""

from __future__ import annotations

import gc
from asyncio.selector_events import _SelectorTransport  # type: ignore[attr-defined]


def close_connections() -> list[str]:
    """Close every connection of asyncio that this process has open. Returns a line for each."""
    # Transports that nothing refers to any more are among the collector's objects until they are collected.
    transports = [found for found in gc.get_objects() if isinstance(found, _SelectorTransport)]
    return [_close(transport) for transport in transports if transport._sock is not None]


def _close(transport: _SelectorTransport) -> str:
    loop, sock = transport._loop, transport._sock
    line = f"{transport.get_protocol()!r} from {sock.getsockname()} to {transport.get_extra_info('peername')}"
    state = f"closing {transport.is_closing()}, loop closed {loop.is_closed()}"
    if not loop.is_closed():
        loop._remove_reader(sock.fileno())
        loop._remove_writer(sock.fileno())
    sock.close()
    transport._sock, transport._closing = None, True
    return f"{line} ({state})"


__all__ = ["close_connections"]

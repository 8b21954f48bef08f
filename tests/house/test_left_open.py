"""Connections that tests leave open are told in the summary, and end no run in which every test passed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A client of a loop that has ended, as a client is that no test closed.
LEFT_OPEN = """
import asyncio

async def connect():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.itself = writer
    server.close()

asyncio.run(connect())
"""
CLOSED = """
from tests.left_open import close_connections

print(*close_connections(), sep="\\n")
"""


@pytest.mark.parametrize(("code", "warned", "told"), [(LEFT_OPEN, True, 0), (LEFT_OPEN + CLOSED, False, 2)])
def test_connection_left_open(code: str, warned: bool, told: int) -> None:
    """Both ends of the connection are named; without the closing, the collector warns."""
    ended = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ("ResourceWarning" in ended.stderr) == warned, ended.stderr
    assert ended.stdout.count("StreamReaderProtocol") == told, ended.stdout

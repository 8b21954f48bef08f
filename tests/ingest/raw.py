"""Requests as bytes, as no well-behaved client would send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from upshot.settings import Settings
from upshot.web.server import make_app

PATIENCE = 30.0
"""Seconds until an answer counts as never given: far above what it takes."""
NOWHERE = Settings(kafka_url="127.0.0.1:1", clickhouse_url="http://app@127.0.0.1:1")


@dataclass
class Reply:
    """An answer, taken apart."""

    status: int
    head: str
    body: bytes

    @property
    def problem(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


@dataclass
class Wire:
    """One server, spoken to in bytes."""

    port: int
    app: web.Application
    runner: web.AppRunner

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, raw: bytes) -> bytes:
        """All that is answered until the server closes; empty where it closes without a word."""
        reader, writer = await self.open()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(raw)
                await writer.drain()
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def ask(
        self,
        path: str = "/v1/outcomes",
        headers: Sequence[str | bytes] = (),
        *,
        host: str | bytes | None = "127.0.0.1",
        method: str = "POST",
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Reply:
        """One request, and its answer."""
        lines = [
            f"{method} {path} HTTP/1.1",
            *([] if host is None else [b"Host: " + as_bytes(host)]),
            *headers,
        ]
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
        raw = b"\r\n".join(map(as_bytes, lines)) + b"\r\n\r\n" + body
        return reply(await self.send(raw))


def as_bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape")


def reply(raw: bytes) -> Reply:
    """The first answer in `raw`."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return Reply(int(head.split(b" ", 2)[1]), head.decode("latin-1"), body)


@asynccontextmanager
async def wire(settings: Settings = NOWHERE, **options: Any) -> AsyncIterator[Wire]:
    """The web server in this process; without Kafka, unless the settings say where it is."""
    app = make_app(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, lingering_time=0.5, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Wire(runner.addresses[0][1], app, runner)
    finally:
        await runner.cleanup()

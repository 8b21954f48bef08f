"""Receivers on this machine: a server over HTTP that answers as it is told, and a mail server."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Received(NamedTuple):
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes


class HttpServer:
    """Notes every request, and answers with `answer`: a status, or a function of the request."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: int | Answering = 200
        self.headers: dict[str, str] = {}
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        """The webhook ids in the order of their coming."""
        return [one.headers["webhook-id"] for one in self.received]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, await request.read()))
        if callable(self.answer):
            return await self.answer(request)
        return web.Response(status=self.answer, text="as told", headers=self.headers)


@asynccontextmanager
async def http_server(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[HttpServer]:
    server = HttpServer()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    server.port = runner.addresses[0][1]
    server.scheme = "https" if tls else "http"
    try:
        yield server
    finally:
        await runner.cleanup()

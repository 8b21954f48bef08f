"""Posting once, to real servers that accept, refuse, redirect, stay silent, and lie."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.receivers.made import ROUTING_KEY, SECRET, configured, message, settings_of
from tests.receivers.servers import HttpServer, http_server
from upshot.receivers.configured import read_receivers
from upshot.receivers.posting import MOST_ANSWER_BYTES, Poster
from upshot.receivers.results import Accepted, Failed, PostResult, Rejected, SwitchedOff

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def hook(url: str, **more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "url": url, "secret": SECRET, **more}


async def posted(declared: dict[str, Any], **options: Any) -> PostResult:
    receivers = configured(options.pop("allow", "127.0.0.0/8"), one=declared)
    poster = Poster(receivers, **options)
    try:
        return await poster.post(receivers.named("one"), message(), NOW)
    finally:
        await poster.disconnect()


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server() as server:
        yield server


async def test_a_message_is_posted(server: HttpServer) -> None:
    assert await posted(hook(server.url + "/hook?x=1")) == Accepted(200)
    [request] = server.received
    assert (request.path, request.headers["webhook-id"]) == ("/hook", "notice-firing")


@pytest.mark.parametrize(
    ("kind", "status", "result"),
    [
        ("webhook", 400, Failed),
        ("webhook", 410, SwitchedOff),
        ("webhook", 500, Failed),
        ("slack", 400, Rejected),
        ("slack", 403, Failed),
        ("slack", 404, Failed),
        ("slack", 410, SwitchedOff),
        ("pagerduty", 202, Accepted),
        ("pagerduty", 400, Rejected),
        ("pagerduty", 500, Failed),
        ("alertmanager", 400, Rejected),
        ("alertmanager", 503, Failed),
    ],
)
async def test_an_answer_has_the_fate_of_its_kind(
    server: HttpServer, kind: str, status: int, result: type[PostResult]
) -> None:
    declared = {"kind": kind, "url": server.url}
    declared |= {"webhook": {"secret": SECRET}, "pagerduty": {"routing_key": ROUTING_KEY}}.get(kind, {})
    server.answer = status
    assert type(await posted(declared)) is result


async def test_the_wish_of_a_busy_receiver_is_read(server: HttpServer) -> None:
    server.answer, server.headers = 429, {"Retry-After": "7"}
    assert await posted(hook(server.url)) == Failed("answered 429: as told", 429, 7.0)


async def test_a_redirect_is_not_followed(server: HttpServer) -> None:
    async with http_server() as elsewhere:
        server.answer, server.headers = 307, {"Location": elsewhere.url}
        result = await posted(hook(server.url))
        assert isinstance(result, Failed) and result.status == 307
        assert not elsewhere.received


async def test_an_answer_of_a_megabyte_is_read_to_the_cap_alone(server: HttpServer) -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b"x" * 100_000)
            written += 100_000
        return response

    server.answer = endless
    result = await posted(hook(server.url))
    assert isinstance(result, Failed) and result.status == 500
    assert len(result.error) < MOST_ANSWER_BYTES
    assert written < 50_000_000


BROKEN = (
    b"\x00 no HTTP\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx",
)


@pytest.mark.parametrize("answer", BROKEN)
async def test_a_broken_answer_fails_and_shows_nothing_of_the_url(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await posted({"kind": "slack", "url": f"http://127.0.0.1:{port}/services/T0/B0/k3y-of-slack"})
    server.close()
    assert isinstance(result, Failed) and result.error.startswith("broke off: ") and result.uncertain
    assert "k3y" not in result.error


async def test_an_answer_that_repeats_a_secret_is_shown_without(server: HttpServer) -> None:
    async def repeats(request: web.Request) -> web.StreamResponse:
        known = await request.text()
        return web.Response(
            status=400, text=f"no route {request.path_qs}, token {request.query['t']} {known}"
        )

    server.answer = repeats
    url = f"{server.url}/hooks/k3y-of-the-path?t=k3y%20of%20the%20query"
    for declared in ({"kind": "pagerduty", "routing_key": ROUTING_KEY, "url": url}, hook(url)):
        result = await posted(declared)
        assert isinstance(result, Rejected | Failed) and "no route …" in result.error
        assert "k3y" not in result.error and ROUTING_KEY not in result.error


async def test_a_packed_answer_is_not_unpacked(server: HttpServer) -> None:
    server.answer, server.headers = 200, {"Content-Encoding": "gzip"}
    assert await posted(hook(server.url)) == Accepted(200)


async def test_a_silent_receiver_fails_in_time_and_may_have_the_message(server: HttpServer) -> None:
    released = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    server.answer = silent
    assert await posted(hook(server.url), timeout=0.2) == Failed("did not answer in time", uncertain=True)
    released.set()


async def test_a_receiver_that_is_away_has_not_got_the_message() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = await posted(hook(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert isinstance(result, Failed) and not result.uncertain
    assert result.error.startswith("is not reached")


async def test_an_end_without_an_answer_is_uncertain(server: HttpServer) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    server.answer = broken
    result = await posted(hook(server.url))
    assert isinstance(result, Failed) and result.uncertain


class _Names(AbstractResolver):
    """Answers with one address after another, the last one again and again."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "64:ff9b::7f00:1", "fe80::1%lo"]
)
async def test_a_name_of_an_address_that_is_not_public_is_refused(address: str) -> None:
    result = await posted(hook("https://rebind.example"), allow="", resolver=_Names(address))
    assert isinstance(result, Failed) and not result.uncertain
    assert "is no public address; put it into UPSHOT_RECEIVER_ALLOW" in result.error


async def test_a_name_that_changes_its_address_is_refused_at_the_call(server: HttpServer) -> None:
    names = _Names("203.0.114.1", "127.0.0.1")
    await names.resolve("rebind.example")
    result = await posted(hook("https://rebind.example"), allow="", resolver=names)
    assert isinstance(result, Failed) and "127.0.0.1 is no public address" in result.error
    assert not server.received


async def test_an_allowed_name_may_be_anywhere(server: HttpServer) -> None:
    allow = f"alerts.internal:{server.port}"
    url = f"http://alerts.internal:{server.port}"
    assert await posted(hook(url), allow=allow, resolver=_Names("127.0.0.1")) == Accepted(200)


async def test_the_environments_proxy_is_not_used(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await posted(hook(server.url)) == Accepted(200)


@asynccontextmanager
async def _tls_server(authority: trustme.CA, *names: str) -> AsyncIterator[HttpServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    async with http_server(context) as server:
        yield server


async def test_a_certificate_must_fit(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    cafile = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(cafile))

    async def call(ca: trustme.CA, name: str) -> PostResult:
        async with _tls_server(ca, name) as server:
            settings = settings_of(one=hook(f"https://localhost:{server.port}"), allow="localhost")
            receivers = read_receivers(settings.model_copy(update={"receiver_cafile": cafile}))
            poster = Poster(receivers)
            try:
                result = await poster.post(receivers.named("one"), message(), NOW)
            finally:
                await poster.disconnect()
            assert bool(server.received) == isinstance(result, Accepted)
            return result

    assert await call(authority, "localhost") == Accepted(200)
    for ca, name in ((authority, "elsewhere.example"), (stranger, "localhost")):
        result = await call(ca, name)
        assert isinstance(result, Failed) and not result.uncertain
        assert result.error.startswith("has a certificate that doesn't fit")

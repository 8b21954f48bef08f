"""A place inside is taken by whoever has proved who it is and sent all of its body.

What a request may hold is bounded.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from tests.ingest.raw import NOWHERE, PATIENCE, Wire, reply, wire
from tests.webhooks.signing import GITHUB
from upshot.errors import InvalidEvent
from upshot.ingest.answers import Problem, as_problem
from upshot.ingest.bodies import MAX_BODY, Bodies
from upshot.ingest.gate import MAX_INSIDE, large_beside
from upshot.ingest.limits import MAX_EVENTS
from upshot.streams.events.reading import items_at_least, items_of, read_events
from upshot.web.connections import HEAD_WITHIN, MAX_WAITING, Connections
from upshot.web.server import CONNECTIONS

SIGNING = NOWHERE.model_copy(
    update={"webhook_github_secret": SecretStr(GITHUB), "link_secret": SecretStr("s" * 32)}
)
MANY = 3 * MAX_INSIDE
#: Taken without Kafka: there is nothing to send.
NOTHING = b"[]"


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Wire]:
    async with wire(SIGNING) as server:
        yield server


@pytest.mark.parametrize(
    "path", ["/v1/outcomes", "/v1/traces", "/v1/events", "/v1/webhooks/github", "/v1/links/x"]
)
async def test_unfinished_bodies_keep_nobody_out(server: Wire, path: str) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "X-Hub-Signature-256: sha256=0\r\nContent-Length: 1000\r\n\r\n{"
    )
    async with AsyncExitStack() as opened:
        for _ in range(MANY):
            _, writer = await server.open()
            opened.callback(writer.close)
            writer.write(head.encode())
            await writer.drain()
        assert (await server.ask("/v1/outcomes", body=NOTHING)).status == 202
        assert (
            await server.ask("/v1/webhooks/github", ["X-Hub-Signature-256: sha256=0"], body=b"{}")
        ).status == 401
        assert (await server.ask("/v1/links/x", body=b"")).status == 403
        assert (await server.ask("/static/style.css", method="GET")).status == 200


async def test_a_sender_who_goes_away_is_no_error_of_ours(
    server: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await server.open()
    writer.write(b"POST /v1/outcomes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    writer.write(b"Content-Length: 1000\r\n\r\n{")
    await writer.drain()
    assert (await server.ask(body=NOTHING)).status == 202
    writer.transport.abort()
    for _ in range(3):
        assert (await server.ask(body=NOTHING)).status == 202
    assert not [record for record in caplog.records if record.exc_info]


async def test_more_requests_than_places_wait_for_one(server: Wire) -> None:
    answers = await asyncio.gather(*(server.ask(body=NOTHING) for _ in range(4 * MAX_INSIDE)))
    assert {answer.status for answer in answers} == {202}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Content-Type: application/json", f"Content-Length: {MAX_BODY + 1}"], 413),
        (["Content-Type: application/json", "Content-Encoding: compress", "Content-Length: 100"], 415),
        (["Content-Type: application/json", "Content-Encoding: gzip, gzip", "Content-Length: 100"], 415),
        (["Content-Type: application/json", "Origin: null", "Content-Length: 100"], 401),
    ],
)
async def test_a_body_that_would_not_be_taken_is_not_waited_for(
    server: Wire, lines: list[str], status: int
) -> None:
    reader, writer = await server.open()
    writer.write("\r\n".join(["POST /v1/outcomes HTTP/1.1", "Host: localhost", *lines, "", ""]).encode())
    async with asyncio.timeout(PATIENCE):
        assert reply(await reader.readuntil(b"\r\n\r\n")).status == status
    writer.close()


@pytest.mark.parametrize("path", ["/v1/outcomes", "/v1/traces", "/v1/events", "/v1/webhooks/github"])
async def test_what_unpacks_to_more_is_refused(server: Wire, path: str) -> None:
    packed = gzip.compress(b" " * (4 * MAX_BODY))
    lines = ["Content-Encoding: gzip", "X-Hub-Signature-256: sha256=0"]
    assert (await server.ask(path, lines, body=packed)).status == 413


async def test_bytes_of_all_and_of_one_peer_are_bounded() -> None:
    bodies = Bodies(most=100_000, most_by_peer=60_000)
    inside = asyncio.Event()
    leave = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        try:
            body = await bodies.read(request)
        except Problem as problem:
            return as_problem(problem)
        try:
            inside.set()
            if body.value.startswith(b"stay"):
                await leave.wait()
            return web.Response(text=str(len(body.value)))
        finally:
            body.release()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = Wire(runner.addresses[0][1], app, runner)
    first = asyncio.create_task(here.ask("/", body=b"stay" + b"x" * 30_000))
    await inside.wait()
    refused = await here.ask("/", body=b"x" * 20_000)
    assert (refused.status, "Retry-After" in refused.head) == (503, True)
    leave.set()
    assert (await first).status == 200
    assert (await here.ask("/", body=b"x" * 40_000)).body == b"40000"
    assert (await here.ask("/", body=b"x" * 50_000)).status == 503
    assert (await here.ask("/", body=b"x" * 40_000)).status == 200
    await runner.cleanup()


async def test_large_bodies_are_read_beside_the_event_loop() -> None:
    here = threading.current_thread()
    assert await large_beside(b"", threading.current_thread) is here
    assert await large_beside(b"x" * 100_000, threading.current_thread) is not here


def spans(count: int) -> bytes:
    request = ExportTraceServiceRequest()
    of_scope = request.resource_spans.add().scope_spans.add()
    for _ in range(count):
        of_scope.spans.add(name="s")
    return request.SerializeToString()


MANY_THINGS: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "an array": ("/v1/outcomes", "application/json", lambda: b"[" + b"{}," * MAX_EVENTS + b"{}]"),
    "an array of numbers": ("/v1/outcomes", "application/json", lambda: b"[" + b"1," * 3_000_000 + b"1]"),
    "lines": ("/v1/runs", "application/x-ndjson", lambda: b"{}\n" * (MAX_EVENTS + 1)),
    "a batch": (
        "/v1/events",
        "application/cloudevents-batch+json",
        lambda: b"[" + b"{}," * MAX_EVENTS + b"{}]",
    ),
    "spans": ("/v1/traces", "application/x-protobuf", lambda: spans(MAX_EVENTS + 1)),
    "empty resources": ("/v1/traces", "application/x-protobuf", lambda: b"\x0a\x00" * 3_000_000),
    "spans in JSON": (
        "/v1/traces",
        "application/json",
        lambda: msgspec.json.encode(
            {"resourceSpans": [{"scopeSpans": [{"spans": [{}] * (MAX_EVENTS + 1)}]}]}
        ),
    ),
    "objects in JSON": ("/v1/traces", "application/json", lambda: b'{"a":[' + b"{}," * 2_000_000 + b"{}]}"),
}


@pytest.mark.parametrize("kind", MANY_THINGS)
async def test_more_things_than_a_request_may_hold_are_refused(server: Wire, kind: str) -> None:
    path, content_type, make = MANY_THINGS[kind]
    answer = await server.ask(path, body=make(), content_type=content_type)
    assert answer.status == 413
    assert b"send fewer" in answer.body


async def test_blank_lines_are_no_events(server: Wire) -> None:
    assert (await server.ask(body=b"\n" * 1_000_000)).status == 400
    assert read_events(b"\n" * 20_000 + b"{}\n{}", 2)[1].where == "line 20002"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, min_size=1, max_size=8))
def test_items_are_counted_without_being_made(items: list[Any]) -> None:
    array = msgspec.json.encode(items)
    assert items_at_least(array, 100) == len(items) == len(items_of(array, len(items)))
    if len(items) > 1:
        with pytest.raises(InvalidEvent):
            items_of(array, len(items) - 1)


@given(st.binary(max_size=50))
def test_any_bytes_can_be_counted(raw: bytes) -> None:
    assert 0 < items_at_least(raw + b'"\\' * 20, 10) <= 10


class Connection:
    """As much of a connection as is looked at."""

    closed = False

    def force_close(self) -> None:
        self.closed = True


def test_connections_without_a_head_are_closed() -> None:
    connections = Connections()
    first, later = Connection(), Connection()
    connections.close_idle([first], 0.0)
    connections.close_idle([first, later], HEAD_WITHIN)
    assert not first.closed
    connections.close_idle([first, later], HEAD_WITHIN + 1)
    assert (first.closed, later.closed) == (True, False)
    many = [Connection() for _ in range(MAX_WAITING + 2)]
    connections.close_idle(many[:1], 20.0)
    connections.close_idle(many, 21.0)
    assert [connection.closed for connection in many].count(True) == 2
    assert many[0].closed


async def test_connections_that_have_asked_stay(server: Wire) -> None:
    reader, writer = await server.open()
    for now in (0.0, 10 * HEAD_WITHIN):
        writer.write(b"HEAD /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert reply(await reader.readuntil(b"\r\n\r\n")).status == 200
        assert server.runner.server is not None
        server.app[CONNECTIONS].close_idle(server.runner.server.connections, now)
    writer.close()


async def test_half_a_head_is_not_waited_for(server: Wire) -> None:
    reader, writer = await server.open()
    writer.write(b"POST /v1/outcomes HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    assert (await server.ask("/static/style.css", method="GET")).status == 200
    assert server.runner.server is not None
    for now in (1000.0, 1001.0 + HEAD_WITHIN):
        server.app[CONNECTIONS].close_idle(server.runner.server.connections, now)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()

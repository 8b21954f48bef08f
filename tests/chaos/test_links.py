"""A link passes on, holds up in one direction, and cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.chaos.links import Link


class Listener:
    """Repeats each line; `heard` has what arrived."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.put_nowait(line)
            writer.write(line)
        writer.close()


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Listener, Link]]:
    listener = Listener()
    server = await asyncio.start_server(listener.talk, "127.0.0.1", 0)
    link = await Link(server.sockets[0].getsockname()[1]).start()
    try:
        yield listener, link
    finally:
        await link.stop()
        server.close()
        await server.wait_closed()


async def test_it_passes_on_in_both_directions() -> None:
    async with linked() as (listener, link):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.slow(0.01)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert await listener.heard.get() == b"hello\n"
        writer.close()


async def test_requests_that_are_held_up_arrive_late() -> None:
    async with linked() as (listener, link):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"first\n")
        assert await reader.readline() == b"first\n"
        await listener.heard.get()
        link.hold("requests")
        writer.write(b"late\n")
        writer.close()  # whoever sent it is gone by then
        link.heal()
        assert await listener.heard.get() == b"late\n"


async def test_answers_can_be_held_up_while_requests_pass() -> None:
    async with linked() as (listener, link):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.hold("answers")
        writer.write(b"hello\n")
        assert await listener.heard.get() == b"hello\n"
        answer = asyncio.create_task(reader.readline())
        assert not answer.done()
        link.heal()
        assert await answer == b"hello\n"
        writer.close()


async def test_a_cut_ends_connections_and_refuses_new_ones_until_healed() -> None:
    async with linked() as (_, link):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"hello\n")
        await reader.readline()
        link.cut()
        assert await reader.read() == b""
        refused, refused_writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await refused.read() == b""
        link.heal()
        reader, healed_writer = await asyncio.open_connection("127.0.0.1", link.port)
        healed_writer.write(b"again\n")
        assert await reader.readline() == b"again\n"
        for end in (writer, refused_writer, healed_writer):
            end.close()

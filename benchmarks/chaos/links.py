"""A TCP proxy in front of one server, which can slow its connections down, hold them up, and cut them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

#: `requests` go to the server, `answers` come from it.
Direction = Literal["requests", "answers"]
DIRECTIONS: tuple[Direction, Direction] = ("requests", "answers")
_CHUNK = 65_536


class Link:
    """Listens on a free port of 127.0.0.1 and passes on to 127.0.0.1:`server_port`.

    What is held up isn't dropped: it arrives when the link is healed, however late that is.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._passing = {direction: asyncio.Event() for direction in DIRECTIONS}
        self._pause = 0.0
        self._refuses = False
        self.heal()

    @property
    def port(self) -> int:
        """Where it listens, once it was started."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> Link:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.cut()
        self.heal()
        await self._server.wait_closed()

    def heal(self) -> None:
        """Pass everything on at once again."""
        self._pause, self._refuses = 0.0, False
        for event in self._passing.values():
            event.set()

    def slow(self, seconds: float) -> None:
        """Let each piece of data wait for so long."""
        self._pause = seconds

    def hold(self, direction: Direction) -> None:
        """Let nothing pass in this direction; connections stay open, and the other direction works."""
        self._passing[direction].clear()

    def cut(self) -> None:
        """Close all connections, and new ones at once, until healed."""
        self._refuses = True
        for writer in list(self._open):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.close()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        self._open |= {writer, server_writer}
        pumps = (
            self._pump(reader, server_writer, "requests"),
            self._pump(server_reader, writer, "answers"),
        )
        tasks = [asyncio.create_task(pump) for pump in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (writer, server_writer):
                self._open.discard(end)
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._pause:
                    await asyncio.sleep(self._pause)
                await self._passing[direction].wait()
                writer.write(data)
                await writer.drain()


__all__ = ["DIRECTIONS", "Direction", "Link"]

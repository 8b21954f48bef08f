"""Bytes that arrive, as a file for readers that want one."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from typing import Any


class ByteFile(io.RawIOBase):
    """A file to be read once, whose content arrives in blocks. Closing it ends the arrival."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, room: Any) -> int:
        """Fill the room as far as a block goes; 0 at the end."""
        while not self._held:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._held = memoryview(block)
        count = min(len(room), len(self._held))
        room[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def read(self, size: int = -1, /) -> bytes:
        """As many bytes as asked for: fewer at the end alone, as readers of Arrow want."""
        if size < 0:
            return self.readall()
        found = bytearray(size)
        filled = 0
        while filled < size and (count := self.readinto(memoryview(found)[filled:])):
            filled += count
        return bytes(found[:filled])

    def close(self) -> None:
        """End the arrival."""
        if not self.closed and isinstance(self._blocks, Generator):
            self._blocks.close()
        super().close()


__all__ = ["ByteFile"]

"""Writes batches to a partition's database until it is killed, and says after each which it was."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from upshot.streams.state import Memory, PartitionTable, frame

KEYS = 50


def at(number: int) -> int:
    """When the earliest key is due after batch `number`."""
    return max(0, number - 9) * 1000


def changes_of(number: int) -> dict[bytes, bytes | None]:
    """Every batch moves some keys, adds one, and deletes one that is ten batches old."""
    moved = {b"moving %d" % key: frame(b"%d" % number * 100, 10**15 + number) for key in range(KEYS)}
    gone = {b"key %d" % (number - 10): None} if number >= 10 else {}
    return {**moved, b"key %d" % number: frame(b"%d" % number, number * 1000), **gone}


def main(folder: Path) -> None:
    table = PartitionTable(folder, Memory())
    for number in count():
        changes = changes_of(number)
        table.get_many(list(changes)[: KEYS // 2])
        table.apply(changes, number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

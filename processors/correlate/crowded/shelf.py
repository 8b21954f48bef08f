"""Readings in their order: the first, the last, how many, and their sum, between two instants.

A list of short sorted lists: adding, removing and each look-up touch two of the lists, and count the others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from sys import float_info
from typing import Any

import msgspec

from upshot.processors.correlate.state import StoredOutcome
from upshot.streams.events.instants import Micros

#: A block grown to so many rows is cut in two.
LARGEST_BLOCK = 1_000
#: Every double is a multiple of this fraction of one.
_PARTS = 1 << 1074


class ShelfRow(msgspec.Struct, frozen=True, gc=False):
    """A counting outcome, and its score."""

    known: StoredOutcome
    value: bool | float


def exact(value: bool | float) -> int:
    """A score in the least parts that a double can have."""
    numerator, denominator = float(value).as_integer_ratio()
    return numerator * (_PARTS // denominator)


def rounded(parts: int) -> float:
    """The nearest double; the largest double, with its sign, for a sum beyond all doubles."""
    try:
        return parts / _PARTS
    except OverflowError:
        return float_info.max if parts > 0 else -float_info.max


class Shelf:
    """Rows by their order; the order's first element is the instant. `summed` keeps the sum of each block."""

    def __init__(self, *, summed: bool = False) -> None:
        self._orders: list[list[tuple[Any, ...]]] = []
        self._rows: list[list[ShelfRow]] = []
        self._lowest: list[tuple[Any, ...]] = []
        self._sums: list[int] = []
        self._summed = summed

    def add(self, order: tuple[Any, ...], row: ShelfRow) -> None:
        """Put a row in its place, not taken by another row."""
        if not self._orders:
            self._open(0, [order], [row])
            return
        block = max(bisect_right(self._lowest, order) - 1, 0)
        orders, rows = self._orders[block], self._rows[block]
        place = bisect_left(orders, order)
        orders.insert(place, order)
        rows.insert(place, row)
        self._lowest[block] = orders[0]
        if self._summed:
            self._sums[block] += exact(row.value)
        if len(orders) > LARGEST_BLOCK:
            self._cut(block)

    def discard(self, order: tuple[Any, ...]) -> None:
        """Take out the row of this order, if present."""
        block = bisect_right(self._lowest, order) - 1
        if block < 0:
            return
        orders, rows = self._orders[block], self._rows[block]
        place = bisect_left(orders, order)
        if place == len(orders) or orders[place] != order:
            return
        if self._summed:
            self._sums[block] -= exact(rows[place].value)
        del orders[place], rows[place]
        if orders:
            self._lowest[block] = orders[0]
        else:
            del self._orders[block], self._rows[block], self._lowest[block], self._sums[block]

    def first(self, low: Micros, high: Micros) -> ShelfRow | None:
        """The first row from `low` to `high`, both included."""
        block, place = self._place(low)
        if block == len(self._orders):
            return None
        row = self._rows[block][place]
        return row if row.known.time <= high else None

    def rows(self, low: Micros, high: Micros) -> Iterator[ShelfRow]:
        """The rows from `low` to `high`, both included, one after the other."""
        block, place = self._place(low)
        for rows in self._rows[block:]:
            for row in rows[place:]:
                if row.known.time > high:
                    return
                yield row
            place = 0

    def last(self, low: Micros, high: Micros) -> ShelfRow | None:
        """The last row from `low` to `high`, both included."""
        block, place = self._place(high + 1)
        if place == 0:
            block -= 1
        if block < 0:
            return None
        row = self._rows[block][place - 1]
        return row if row.known.time >= low else None

    def count(self, low: Micros, high: Micros) -> int:
        """How many rows there are from `low` to `high`, both included."""
        start, begin = self._place(low)
        stop, end = self._place(high + 1)
        return sum(map(len, self._rows[start:stop])) - begin + end if (start, begin) < (stop, end) else 0

    def total(self, low: Micros, high: Micros) -> int:
        """The sum of the rows, in the parts of `exact`."""
        start, begin = self._place(low)
        stop, end = self._place(high + 1)
        if (start, begin) >= (stop, end):
            return 0
        whole = sum(self._sums[start:stop])
        before = self._added(start, 0, begin)
        return whole - before + self._added(stop, 0, end)

    def _added(self, block: int, begin: int, end: int) -> int:
        if begin == end:
            return 0
        rows = self._rows[block]
        if 2 * end > len(rows):
            return self._sums[block] - sum([exact(row.value) for row in rows[end:]])
        return sum([exact(row.value) for row in rows[begin:end]])

    def _place(self, at: Micros) -> tuple[int, int]:
        """Where the first row at or after this instant is; behind all blocks where there is none."""
        probe = (at,)
        block = max(bisect_right(self._lowest, probe) - 1, 0)
        if block < len(self._orders):
            place = bisect_left(self._orders[block], probe)
            if place < len(self._orders[block]):
                return block, place
            return block + 1, 0
        return block, 0

    def _open(self, block: int, orders: list[tuple[Any, ...]], rows: list[ShelfRow]) -> None:
        self._orders.insert(block, orders)
        self._rows.insert(block, rows)
        self._lowest.insert(block, orders[0])
        self._sums.insert(block, sum([exact(row.value) for row in rows]) if self._summed else 0)

    def _cut(self, block: int) -> None:
        half = len(self._orders[block]) // 2
        orders, rows = self._orders[block][half:], self._rows[block][half:]
        del self._orders[block][half:], self._rows[block][half:]
        self._open(block + 1, orders, rows)
        self._sums[block] -= self._sums[block + 1]


__all__ = ["LARGEST_BLOCK", "Shelf", "ShelfRow", "exact", "rounded"]

"""Nothing counts as read while a topic isn't what is being read."""

from __future__ import annotations

from collections.abc import Iterable

from tests.room import MemoryRoom
from upshot.processors.watermark import Watermark
from upshot.streams.runtime import TP, Unsettled

A = TP("outcomes", 0)


class Room(MemoryRoom):
    """One partition, read up to 5; what is asked of its topic can fail."""

    def __init__(self) -> None:
        super().__init__()
        self._positions = {A: 5}
        self.ends = 5
        self.unsettled = False
        self.asked = 0

    async def end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        self.asked += 1
        if self.unsettled:
            raise Unsettled
        return dict.fromkeys(tps, self.ends)

    def read_to(self, offset: int) -> None:
        self._positions[A] = offset


async def test_no_instant_holds_while_a_topic_is_gone_or_another_one() -> None:
    room, now = Room(), [100]
    caught_up = Watermark(room, lambda: now[0])
    assert await caught_up.as_of() == 100
    room.unsettled = True
    now[0] = 200
    assert await caught_up.as_of() is None
    room.unsettled, room.ends = False, 3
    room.read_to(0)
    assert await caught_up.as_of() is None, "the new one has something to read"
    room.read_to(3)
    now[0] = 300
    assert await caught_up.as_of() == 200, "as of when its end was asked for"


async def test_a_topic_that_changes_half_way_has_everything_asked_again() -> None:
    room, now = Room(), [100]
    caught_up = Watermark(room, lambda: now[0])
    room.ends = 9
    assert await caught_up.as_of() is None
    assert caught_up.unread() == {A: 4}
    room.read_to(9)
    room.unsettled = True
    assert await caught_up.as_of() is None
    assert caught_up.unread() == {}
    room.unsettled = False
    now[0] = 500
    assert await caught_up.as_of() == 500

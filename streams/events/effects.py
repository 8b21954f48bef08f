"""What a unit of work wants done: data, not action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record for a topic. A `partition` of None means the key's own (Java's murmur2)."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a key holds from now on, and when it wants to be looked at: microseconds since 1970, None is never.

    So many things of it are `waiting`, which the table only counts.
    """

    value: bytes
    due: int | None = None
    waiting: int = 0


@dataclass
class Effects:
    """Table changes by partition and key (None deletes), and the outputs that follow from them.

    The outputs are sent after the changes are durable, so that nobody sees a result that could be forgotten.
    What no record brings about, such as a deadline, sets `outputs_first`: nothing would come again to say
    it after a crash between the two, so it's said, and acknowledged, before it is remembered.

    Work that sets `more` has left something undone: the next tick comes without waiting, in the same turn if it was
    a `process`, after the next poll if it was a tick itself. `tick_within` is the longest wait for it in seconds,
    where something goes on beside the cycle that the tick is to take up soon.
    """

    changes: dict[int, dict[bytes, Change | None]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    outputs_first: bool = False
    more: bool = False
    tick_within: float | None = None


__all__ = ["Change", "Effects", "Output"]

"""The effects of a unit of work: data, not action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record for a topic. A `partition` of None means the key's own (Java's murmur2)."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """The value of a key from now on, and the key's due instant: microseconds since 1970, None is never.

    So many things of the key are `waiting`, which the table only counts.
    """

    value: bytes
    due: int | None = None
    waiting: int = 0


@dataclass
class Effects:
    """Table changes by partition and key (None deletes), and the outputs following from them.

    The outputs are sent after the changes are durable, so nobody sees a result at risk of being forgotten.
    Effects not caused by a record, such as a deadline's, set `outputs_first`: no record would come again to
    repeat the outputs after a crash between the two, so the outputs are sent, and acknowledged, before the
    changes are stored.

    Work setting `more` has left something undone: the next tick comes without waiting, in the same batch
    after a `process`, after the next poll after a tick. `tick_within` is the longest wait for the tick in
    seconds, where something goes on beside the processing loop, to be taken up by the tick soon.
    """

    changes: dict[int, dict[bytes, Change | None]] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    outputs_first: bool = False
    more: bool = False
    tick_within: float | None = None


__all__ = ["Change", "Effects", "Output"]

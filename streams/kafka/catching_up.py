"""Waiting until groups have read all that is written by now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic

from upshot.settings import Settings
from upshot.streams.kafka.groups import Group, group_states

_LOOK = 0.2


async def left_behind(settings: Settings, name: str, topics: Sequence[str], seconds: float) -> int:
    """How many of the records written by now the group `name` has not committed within `seconds`.

    A group without members isn't waited for. Raises KafkaUnavailable.
    """
    until = monotonic() + seconds
    [group] = await group_states(settings, {name: topics})
    ends = {tp: standing.stable for tp, standing in group.standings.items()}
    while (left := _left(group, ends)) and group.members and monotonic() < until:
        await asyncio.sleep(_LOOK)
        [group] = await group_states(settings, {name: topics})
    return left


def _left(group: Group, ends: Mapping[object, int]) -> int:
    return sum(max(0, ends.get(tp, 0) - standing.position) for tp, standing in group.standings.items())


__all__ = ["left_behind"]

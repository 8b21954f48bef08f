"""Waits and outcomes as the join and the store need them.

Every default filled in, every instant worked out.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Raw, Struct

from upshot.schemas.outcomes import Sequence
from upshot.schemas.waits import Rule
from upshot.streams.events.instants import Micros


class CheckedRule(NamedTuple):
    """A valid rule, as JSON with the stated fields only, and its window in microseconds."""

    rule: Rule
    json: bytes
    within: Micros


class Preceding(Struct, frozen=True, array_like=True, gc=False):
    """An event received before: of these types only later events count. See `upshot.schemas.waits.After`."""

    types: tuple[str, ...]
    time: Micros
    id: str
    source: str = ""
    sequence: int | str | None = None
    #: Milliseconds since 1970; 0 where nobody says.
    recorded: int = 0


class DecodedOutcome(Struct, frozen=True, gc=False):
    """An outcome with id and time filled in, its subject in the joining spelling. `data` is JSON as received.

    Its time covers `width` microseconds more, by the way the time is written. `recorded` is the record's
    timestamp, in milliseconds since 1970.
    """

    subject: str
    id: str
    type: str
    source: str
    time: Micros
    data: Raw
    width: Micros
    sequence: Sequence | None
    recorded: int
    #: The subject as it was spelled.
    spelled: str


class DecodedWait(Struct, frozen=True, gc=False):
    """A wait with id, opening and deadline worked out, its subject in the joining spelling.

    `exposures` and `attributes` are JSON.

    Its opening, and so its deadline, covers `width` microseconds more, by the way the opening is written. A
    `tolerance` of None: the wait states none.
    """

    subject: str
    wait_id: str
    run_id: str
    step_id: str | None
    name: str
    agent: str | None
    opened_at: Micros
    since: Micros
    deadline: Micros
    rule: CheckedRule
    exposures: Raw
    attributes: Raw
    reply_to: str | None = None
    width: Micros = 0
    tolerance: Micros | None = None
    revision: int = 0
    after: tuple[Preceding, ...] = ()


__all__ = ["CheckedRule", "DecodedOutcome", "DecodedWait", "Preceding"]

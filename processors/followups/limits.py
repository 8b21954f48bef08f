"""The limits of requests: any other would stop the worker, or be refused by the join and wait for ever."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from upshot.errors import InvalidEvent
from upshot.processors.followups.encode import encode_wait
from upshot.processors.followups.execution import Command, FollowupSpec, OpenWait, SetTimer
from upshot.processors.followups.facts import Opened
from upshot.schemas.fields import LATEST, LONGEST_WINDOW
from upshot.streams.events.decode import read_wait
from upshot.streams.events.instants import MICROSECOND, Micros, micros

_END: Micros = micros(LATEST)
_LONGEST: Micros = LONGEST_WINDOW // MICROSECOND
_ID, _NAME = range(1, 513), range(1, 201)


class _Unsent(NamedTuple):
    """A wait as seen by the join."""

    value: bytes
    timestamp: int
    topic: str = "waits"
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def impossible(origin: FollowupSpec, commands: Iterable[Command], asked: Container[str]) -> str | None:
    """The reason why a command can't be done, and the remedy; None where all commands can be done.

    Waits are checked by the join's rules, except for waits `asked` before.
    """
    for command in commands:
        if isinstance(command, SetTimer) and command.due >= _END:
            return "it sleeps beyond the year 2099: sleep for less"
        if not isinstance(command, OpenWait) or command.wait_id in asked:
            continue
        if (found := _impossible(command) or _refused(origin, command)) is not None:
            return f"it waits for news about {command.subject[:100]!r} {found}"
    return None


def _refused(origin: FollowupSpec, wait: OpenWait) -> str | None:
    try:
        read_wait(_Unsent(encode_wait(Opened(origin, wait)), wait.opened_at // 1000))
    except InvalidEvent as error:
        return f"in a way that no wait can be ({error.detail}): ask for something else"
    return None


def _impossible(wait: OpenWait) -> str | None:
    if not 0 < wait.deadline - wait.opened_at <= _LONGEST or wait.deadline >= _END:
        return "for no time or for over ten years: give a timeout in between"
    if wait.since > wait.deadline:
        return "from a time on that lies after its end: let since be earlier"
    if len(wait.subject) not in _ID or not wait.on or any(len(kind) not in _NAME for kind in wait.on):
        return "with a subject or a type that is empty or too long: shorten it"
    return None


__all__ = ["impossible"]

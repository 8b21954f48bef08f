"""What code may ask for: anything else would stop the worker, or wait for ever at the join, which refuses it."""

from __future__ import annotations

from collections.abc import Iterable

from upshot.processors.followups.execution import Command, OpenWait, SetTimer
from upshot.schemas.fields import LATEST, LONGEST_WINDOW
from upshot.streams.instants import MICROSECOND, Micros, micros

_END: Micros = micros(LATEST)
_LONGEST: Micros = LONGEST_WINDOW // MICROSECOND
_ID, _NAME = range(1, 513), range(1, 201)


def impossible(commands: Iterable[Command]) -> str | None:
    """Why one of the commands can't be done, and what to write instead; None where all can."""
    for command in commands:
        if isinstance(command, SetTimer) and command.due >= _END:
            return "it sleeps beyond the year 2099: sleep for less"
        if isinstance(command, OpenWait) and (found := _impossible(command)):
            return f"it waits for news about {command.subject[:100]!r} {found}"
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

"""Exit codes, and which error gives which."""

from __future__ import annotations

from enum import IntEnum

from upshot.errors import (
    ConfigurationError,
    PartFailed,
    Unavailable,
    UnitFailed,
    UpshotError,
)


class Exit(IntEnum):
    """The meaning of the command's exit code."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNDECIDED = 3
    STOPPED = 4
    UNAVAILABLE = 69
    TEMPORARY = 75
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "fine",
    Exit.REFUSED: "a check failed, an event or a query was refused",
    Exit.USAGE: "wrong usage or configuration; nothing was done",
    Exit.UNDECIDED: "an experiment isn't decided yet",
    Exit.STOPPED: "an experiment's units don't fit the weights of its variants: its results can't be trusted",
    Exit.UNAVAILABLE: "a component (Kafka, ClickHouse, a port) is not available",
    Exit.TEMPORARY: "a temporary failure; start it again, nothing is lost",
    Exit.INTERRUPTED: "ended by Ctrl-C before it was done (`up` and `worker` are done by then: 0)",
}


def exit_of(error: UpshotError) -> Exit:
    """The exit code for the kind of an error."""
    if isinstance(error, ConfigurationError):
        return Exit.USAGE
    if isinstance(error, Unavailable | PartFailed):
        return Exit.UNAVAILABLE
    return Exit.TEMPORARY if isinstance(error, UnitFailed) else Exit.REFUSED


__all__ = ["MEANINGS", "Exit", "exit_of"]

"""The stack's interface to each component."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Protocol


class Component(Protocol):
    """A supervised child process: Kafka, ClickHouse, a worker role, the web page.

    After `kill()`, or after a death of the process, `start()` works again on the same data and at the same
    address.
    """

    @property
    def name(self) -> str:
        """Short and unique in the data directory; the log is named after the component."""

    @property
    def log(self) -> Path | None:
        """The file with the component's output; None where the output is its supervisor's."""

    @property
    def port(self) -> int | None:
        """The listening port, once the component was started; None for a component without a port."""

    @property
    def pid(self) -> int:
        """The id of the running process itself, not of its guard. Raises PartFailed when no process runs."""

    def start(self) -> None:
        """Spawn the process; returns before readiness. Raises PartFailed for a data directory in use."""

    def wait_ready(self, timeout: float, stop: threading.Event | None = None) -> None:
        """Return once the component answers, or `stop` is set. Raises PartFailed on early end or timeout."""

    def ready(self) -> bool:
        """Whether the component answers now. Raises PartFailed for an answer unlike the component's own."""

    def alive(self) -> bool:
        """Whether the process runs, healthy or not."""

    def last_end(self) -> str:
        """How the process ended, as text for people."""

    def stop(self, timeout: float) -> None:
        """End the process cleanly; after `timeout` seconds, by force. Harmless when no process runs."""

    def kill(self) -> None:
        """SIGKILL the process, as a crash would, and wait until the process is gone."""


def how_it_ended(code: int | None) -> str:
    """The end of a process, as text for people; a negative code is a signal's number."""
    if code is None:
        return "was not started"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


__all__ = ["Component", "how_it_ended"]

"""What the stack knows about each thing it runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol


class Component(Protocol):
    """One supervised child process: Kafka, ClickHouse, a worker role, the web page.

    After `kill()`, or after it died, `start()` works again on the same data and at the same address.
    """

    @property
    def name(self) -> str:
        """Short and unique in its data directory; the log is named after it."""

    @property
    def log(self) -> Path:
        """Where its output is."""

    @property
    def port(self) -> int | None:
        """Where it listens, once it was started; None when it does not listen."""

    @property
    def pid(self) -> int:
        """The running process itself, not its guard. Raises PartFailed when it does not run."""

    def start(self) -> None:
        """Spawn it; returns before it is ready. Raises PartFailed when its data directory is in use."""

    def wait_ready(self, timeout: float, stop: threading.Event | None = None) -> None:
        """Return once it answers, or once `stop` is set. Raises PartFailed when it ends first, or is late."""

    def ready(self) -> bool:
        """Whether it answers now. Raises PartFailed when it does, and is not what it should be."""

    def alive(self) -> bool:
        """Whether the process runs; says nothing about its health."""

    def last_end(self) -> str:
        """How it ended, for people."""

    def stop(self, timeout: float) -> None:
        """End it cleanly; after `timeout` seconds, by force. Harmless when it does not run."""

    def kill(self) -> None:
        """SIGKILL it, as a crash would, and wait until it is gone."""


__all__ = ["Component"]

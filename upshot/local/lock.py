"""A single running process per place on disk, by flock: the kernel releases it however the holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upshot.errors import PartFailed
from upshot.private_files import private_folder

LEAVING = 25.0
"""Seconds to wait for the components of a supervisor that died: they end by themselves soon after it."""
LOOK = 0.05


def lock(path: Path, what: str) -> int:
    """Take the lock and return its open file, which holds the lock until every copy of the file is closed.

    A child inheriting the file goes on holding the lock. Raises PartFailed naming the process with the lock.
    """
    private_folder(path.parent)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + LEAVING
    while not _try(file):
        holder = os.pread(file, 20, 0).decode() or "0"
        if _lives(int(holder)) or time.monotonic() > give_up:
            os.close(file)
            raise PartFailed(
                f"{what} already runs in {path.parent.parent}, started by process {holder}; nothing was "
                "changed: stop that one, or choose another data directory (--data-dir)"
            )
        time.sleep(LOOK)
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


@contextmanager
def queue(path: Path) -> Iterator[None]:
    """Hold the lock for a block of code; later callers wait for their turn."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


__all__ = ["lock", "queue"]

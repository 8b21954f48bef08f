"""Which folder a partition's database is in, when several workers may share a disk.

    <root>/<partition>/<n>        a database
    <root>/<partition>/<n>.lock   held by the process using the database; its time is when that was last used
    <root>/<partition>/<n>.aside  an untrusted database, kept until the next of its kind

A partition has as many databases as processes hold the partition at once: its own, and another for each
standby on this disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep, time

from upshot.private_files import private_folder

#: A database that nobody has used for so long (seconds) is removed; see `PartitionTable.TRUSTED_FOR`.
RETAINED_FOR = 12 * 3600.0
#: Seconds between two tries to get a folder that somebody still uses.
LOOK = 0.02


class Claim:
    """A folder for a database used by no other process, until `release`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    def touch(self) -> None:
        """Note that the folder is in use now."""
        os.utime(self._lock)

    def set_aside(self) -> Path:
        """Move the database away; an older database set aside before is removed. Returns the new location."""
        aside = self.folder.with_name(self.folder.name + ".aside")
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(FileNotFoundError):
            self.folder.rename(aside)
        return aside

    def release(self) -> None:
        """Leave the folder to any process, with its contents."""
        if self._lock >= 0:
            self.touch()
            os.close(self._lock)
            self._lock = -1


class Folders:
    """The databases of a table on this disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def claim(self, partition: int, patience: float = 0.0) -> Claim:
        """The folder of this partition last used among the unused folders, or a new folder.

        Where all are in use the claim waits for `patience` seconds: the partition may be on its way from
        another process on this disk. Blocks.
        """
        home = private_folder(self._root / str(partition))
        give_up = monotonic() + patience
        while locks := sorted(home.glob("*.lock"), key=_used_at, reverse=True):
            for lock in locks:
                if claim := _try(lock):
                    return claim
            if monotonic() > give_up:
                break
            sleep(LOOK)
        number = 0
        while not (claim := _try(home / f"{number}.lock")):
            number += 1
        return claim

    def clean(self) -> list[Path]:
        """Remove databases unused for `KEPT_FOR`; returns the removed databases."""
        removed = []
        for lock in self._root.glob("*/*.lock"):
            if time() - _used_at(lock) > RETAINED_FOR and (claim := _try(lock)):
                shutil.rmtree(claim.folder, ignore_errors=True)
                shutil.rmtree(claim.folder.with_name(claim.folder.name + ".aside"), ignore_errors=True)
                lock.unlink()
                claim.release()
                removed.append(claim.folder)
        return removed


def _used_at(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _try(lock: Path) -> Claim | None:
    """The claim, where nobody holds the lock."""
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino == os.stat(lock).st_ino:
            return Claim(lock.with_suffix(""), file)
    except (BlockingIOError, FileNotFoundError):
        pass
    # Somebody holds it, or has removed it since it was opened.
    os.close(file)
    return None


__all__ = ["RETAINED_FOR", "Claim", "Folders"]

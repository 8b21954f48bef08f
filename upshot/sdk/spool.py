"""Facts not acknowledged by a broker yet, in a file outliving the process.

Every process has a file of its own, and holds a lock on the file for as long as the process lives, however
the process ends. A file without such a lock was left by a dead process: the next process adopts the file's
facts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from upshot.errors import SpoolFull
from upshot.private_files import private_folder
from upshot.streams.events.outgoing import OutgoingEvent

logger = logging.getLogger("upshot")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (
    number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    reason TEXT NOT NULL
);
"""
#: What a row takes besides its value, roughly.
_OVERHEAD = 100


class SpooledMessage(NamedTuple):
    """A message in the spool and its number there."""

    number: int
    message: OutgoingEvent


class Spool:
    """A file, or memory where `folder` is None. Safe for several threads, not across a fork."""

    def __init__(self, folder: Path | None, limit_bytes: int, *, path: Path | None = None) -> None:
        """Open a new file in `folder`, or `path` inside. Raises OSError or sqlite3.Error on failure."""
        self._limit = limit_bytes
        self._mutex = threading.Lock()
        self._lock: int | None = None
        self.path = path or (folder / f"{os.getpid()}-{uuid4().hex[:12]}.db" if folder else None)
        if self.path is not None:
            # Agents' facts about their users are nobody else's business.
            private_folder(self.path.parent)
            self._lock = _take_lock(self.path)
            if self._lock is None:
                raise BlockingIOError(f"{self.path} belongs to a process that runs")
        try:
            self._db = _connect(self.path)
            count, size = self._db.execute("SELECT count(*), sum(length(value)) FROM facts").fetchone()
        except sqlite3.Error:
            self.abandon()
            raise
        self._count: int = count
        self._bytes: int = (size or 0) + count * _OVERHEAD

    def __len__(self) -> int:
        """How many facts wait."""
        return self._count

    def append(self, message: OutgoingEvent) -> None:
        """Keep a fact: once the call returns, the fact survives the end of the process, however caused.

        Raises SpoolFull: the fact isn't kept.
        """
        size = len(message.value) + _OVERHEAD
        with self._mutex:
            if self._bytes + size > self._limit:
                raise SpoolFull(
                    f"{self._count:,} facts wait for Kafka and {self.path or 'memory'} may hold no more than "
                    f"{self._limit:,} bytes: this one is not recorded; bring Kafka back or raise "
                    "UPSHOT_SPOOL_BYTES"
                )
            try:
                self._db.execute("INSERT INTO facts (topic, key, value) VALUES (?, ?, ?)", message[:3])
            except sqlite3.Error as error:
                raise SpoolFull(f"{self.path} takes no more ({error}): this fact is not recorded") from error
            self._count += 1
            self._bytes += size

    def first(self, limit: int, limit_bytes: int = 4 * 1024 * 1024) -> list[SpooledMessage]:
        """The oldest facts: at most `limit`, no more once `limit_bytes` are full; at least one if any."""
        sql = "SELECT number, topic, key, value FROM facts ORDER BY number LIMIT ?"
        found: list[SpooledMessage] = []
        with self._mutex:
            for number, *message in self._db.execute(sql, (limit,)):
                found.append(SpooledMessage(number, OutgoingEvent(*message)))
                limit_bytes -= len(found[-1].message.value)
                if limit_bytes <= 0:
                    break
        return found

    def remove(self, done: Iterable[SpooledMessage]) -> None:
        """Forget acknowledged facts. Raises sqlite3.Error: the facts stay, and are sent once more."""
        done = list(done)
        with self._mutex, self._transaction():
            self._db.executemany(
                "DELETE FROM facts WHERE number = ?", [(spooled.number,) for spooled in done]
            )
        self._count -= len(done)
        self._bytes -= sum(len(spooled.message.value) + _OVERHEAD for spooled in done)

    def adopt(self) -> None:
        """Take over the facts left in this folder by ended processes.

        Facts taken twice, after a death in between, do no harm. An unreadable file stays, and is reported.
        """
        if self.path is None:
            return
        for path in sorted(self.path.parent.glob("*.db")):
            try:
                left = Spool(None, self._limit, path=path)
            except BlockingIOError:
                continue
            except (OSError, sqlite3.Error) as error:
                logger.error("%s, left by a process that ended, can't be read (%s): it stays", path, error)
                continue
            self._take(left)

    def _take(self, left: Spool) -> None:
        sql = "INSERT INTO facts (topic, key, value) VALUES (?, ?, ?)"
        while facts := left.first(1000):
            with self._mutex, self._transaction():
                self._db.executemany(sql, [spooled.message[:3] for spooled in facts])
                self._count += len(facts)
                self._bytes += sum(len(spooled.message.value) + _OVERHEAD for spooled in facts)
            left.remove(facts)
        left.close()

    def refuse(self, spooled: SpooledMessage, reason: str) -> None:
        """Put a fact aside after the broker's final refusal; the fact stays in the file for people."""
        with self._mutex:
            sql = "INSERT INTO refused (topic, key, value, reason) VALUES (?, ?, ?, ?)"
            self._db.execute(sql, (*spooled.message[:3], reason))
        self.remove([spooled])

    def refused(self) -> list[tuple[OutgoingEvent, str]]:
        """The facts put aside, and why."""
        with self._mutex:
            rows = self._db.execute("SELECT topic, key, value, reason FROM refused").fetchall()
        return [(OutgoingEvent(*row[:3]), row[3]) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file; an empty file is deleted."""
        with self._mutex:
            empty = not self._db.execute(
                "SELECT (SELECT count(*) FROM facts) + count(*) FROM refused"
            ).fetchone()[0]
            self._db.close()
            if self.path is not None and empty:
                # The database last: after a death here, the next process finds the rest by the database.
                _lock_path(self.path).unlink(missing_ok=True)
                for suffix in ("-wal", "-shm", ""):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.abandon()

    def abandon(self) -> None:
        """Forget another process's file: the parent's, after a fork."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:  # SQLite's further files take the rights of this one
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")


def _take_lock(path: Path) -> int | None:
    file = os.open(_lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


__all__ = ["Spool", "SpooledMessage"]

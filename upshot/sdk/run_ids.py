"""Run ids chosen by programs: a repeated id is reported, since two runs with the id would be one run."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from pathlib import Path

logger = logging.getLogger("upshot")

_SCHEMA = "CREATE TABLE IF NOT EXISTS run_ids (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, at REAL NOT NULL)"
#: Ids remembered by one process, and seconds for which the file remembers.
_LONGEST_MEMORY = 10_000
_SECONDS = 7 * 24 * 3600.0


class RunIds:
    """Remembers ids in this process, and in a file for processes sharing `folder`; no file for None.

    The file is a help for people and nothing depends on the file: where unusable, only this process's ids
    count.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._mutex = threading.Lock()
        self._broken = folder is None
        self._cleaned = False

    def used(self, run_id: str) -> None:
        """Note the beginning of a run with this id; warn where the id was used before."""
        with self._mutex:
            before = "in this process" if run_id in self._seen else self._elsewhere(run_id)
            self._seen[run_id] = None
            while len(self._seen) > _LONGEST_MEMORY:
                self._seen.popitem(last=False)
        if before:
            logger.warning(
                "run %r began before, %s: the events of both become one run; to go on with a run write "
                "`with app.attach(%r):`, and give a new run an id of its own",
                run_id,
                before,
                run_id,
            )

    def _elsewhere(self, run_id: str) -> str:
        if self._broken or self._folder is None:
            return ""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.closing(sqlite3.connect(self._folder / "run-ids.sqlite", timeout=1.0)) as db, db:
                db.execute("PRAGMA synchronous = OFF")
                db.execute(_SCHEMA)
                return self._noted(db, run_id)
        except (OSError, sqlite3.Error):
            self._broken = True
            return ""

    def _noted(self, db: sqlite3.Connection, run_id: str) -> str:
        now = time.time()
        if not self._cleaned:
            self._cleaned = True
            db.execute("DELETE FROM run_ids WHERE at < ?", (now - _SECONDS,))
        row = db.execute("SELECT pid, at FROM run_ids WHERE id = ?", (run_id,)).fetchone()
        db.execute("INSERT OR REPLACE INTO run_ids VALUES (?, ?, ?)", (run_id, os.getpid(), now))
        return "" if row is None else f"in process {row[0]}, {now - row[1]:.0f} seconds ago"


__all__ = ["RunIds"]

"""Where a peer works, from its command line, and the moment of its first record."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: All systems commit as often as this, in seconds: Upshot's default.
COMMIT_INTERVAL = 1.0
#: Records that one poll gives at the most, where a system asks.
POLL_RECORDS = 5_000
#: Per partition and fetch of aiokafka.
FETCH_BYTES = 2 * 1024 * 1024
#: Of a producer's batch.
BATCH_BYTES = 512 * 1024


class Place(NamedTuple):
    """The broker, the app's name (its group, and the prefix of its topics) and a folder of its own."""

    kafka: str
    app: str
    folder: Path

    @property
    def waits(self) -> str:
        return f"{self.app}.waits"

    @property
    def outcomes(self) -> str:
        return f"{self.app}.outcomes"

    @property
    def scores(self) -> str:
        return f"{self.app}.scores"

    @property
    def changelog(self) -> str:
        return f"{self.app}-changelog"


def place() -> Place:
    """From the command line: broker, app, folder."""
    return Place(sys.argv[1], sys.argv[2], Path(sys.argv[3]))


class Moment:
    """A moment that is told to the benchmark: the monotonic clock and the CPU seconds used so far."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / name
        self._told = False

    def now(self) -> None:
        """The first call counts, also among processes."""
        if not self._told:
            self._told = True
            told = {"at": time.monotonic(), "cpu": time.process_time()}
            part = self._file.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(told))
            with suppress(FileExistsError):
                self._file.hardlink_to(part)

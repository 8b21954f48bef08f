"""The executions under way, in a file that outlives the process: a crash leaves the names of the suspects."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import msgspec

from upshot.private_files import private_folder

#: A longer file is written anew, with the entries that still count.
_MOST_BYTES = 1_000_000


class Crashes(NamedTuple):
    """How often the process ended, in a row, while an execution of one follow-up was under way.

    `alone` counts the ends with no other execution under way.
    """

    ends: int = 0
    alone: int = 0


class CrashJournal:
    """A line for each begin and end: `[begun|ended|left, ends, alone, follow-up's id]`; an id's last counts.

    A line is handed to the operating system before the code runs: the line survives the process, though not
    a crash of the machine. The file is locked: a second process with the same folder takes another file.
    """

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        self._file = _locked(folder)
        self._under_way: dict[str, Crashes] = {}
        #: Follow-ups under way when the process ended, which have not ended since.
        self.suspects: Mapping[str, Crashes]
        self.suspects = self._suspects = dict(_read(self._file))
        self._rewrite()

    def begin(self, followup_id: str, alone: bool) -> None:
        """An execution begins. `alone`: no other execution is under way, nor will be until `accompanied`."""
        before = self._suspects.get(followup_id, Crashes())
        crashes = Crashes(before.ends + 1, before.alone + 1 if alone else 0)
        self._under_way[followup_id] = crashes
        self._write("begun", crashes, followup_id)

    def accompanied(self, followup_id: str) -> None:
        """Others begin beside an execution that was alone: an end of the process may be their doing."""
        if followup_id in self._under_way:
            crashes = self._under_way[followup_id] = self._under_way[followup_id]._replace(alone=0)
            self._write("begun", crashes, followup_id)

    def end(self, followup_id: str) -> None:
        """An execution ended, or was stopped: the follow-up is no suspect any more."""
        self._under_way.pop(followup_id, None)
        self._suspects.pop(followup_id, None)
        self._write("ended", Crashes(), followup_id)

    def close(self) -> None:
        """The process ends in good order: all that is under way is stopped."""
        for followup_id in list(self._under_way):
            self.end(followup_id)
        os.close(self._file)

    def _write(self, what: str, crashes: Crashes, followup_id: str) -> None:
        os.write(self._file, _line(what, crashes, followup_id))
        if os.lseek(self._file, 0, os.SEEK_CUR) > _MOST_BYTES:
            self._rewrite()

    def _rewrite(self) -> None:
        left = [_line("left", crashes, name) for name, crashes in self._suspects.items()]
        begun = [_line("begun", crashes, name) for name, crashes in self._under_way.items()]
        os.ftruncate(self._file, 0)
        os.write(self._file, b"".join((*left, *begun)))


def _locked(folder: Path) -> int:
    """The first file of the folder that no other process holds."""
    for number in count():
        file = os.open(folder / f"under-way-{number}", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return file
    raise AssertionError("unreachable")


def _line(what: str, crashes: Crashes, followup_id: str) -> bytes:
    return msgspec.json.encode([what, *crashes, followup_id]) + b"\n"


def _read(file: int) -> Iterator[tuple[str, Crashes]]:
    """The follow-ups whose last line isn't an end."""
    last: dict[str, tuple[str, Crashes]] = {}
    for line in os.pread(file, os.fstat(file).st_size, 0).split(b"\n"):
        with suppress(msgspec.DecodeError):  # the last line of a file may be cut off
            what, ends, alone, followup_id = msgspec.json.decode(line, type=tuple[str, int, int, str])
            last[followup_id] = what, Crashes(ends, alone)
    yield from ((name, crashes) for name, (what, crashes) in last.items() if what != "ended")


__all__ = ["CrashJournal", "Crashes"]

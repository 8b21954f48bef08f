"""CPU time and memory of a process and its children, from Linux's /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Of all threads of `pid` and of all its descendants, so far."""
    return sum(_cpu(process) for process in _family(pid))


def peak_rss(pid: int) -> int:
    """Bytes: the sum of each one's own peak."""
    return sum(_peak(process) for process in _family(pid))


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    # User, system, and both of the children that have ended and were waited for.
    return sum(int(field) for field in fields[11:15]) / _TICKS


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _family(pid: int) -> Iterator[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = [pid]
    for member in found:
        yield member
        found += [child for child, parent in parents.items() if parent == member]


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may itself hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

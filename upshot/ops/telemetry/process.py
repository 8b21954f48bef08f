"""The process's own use of resources."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from upshot.streams.metrics.instruments import Instruments

_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def watch_process(instruments: Instruments) -> None:
    """Measure memory, processor time and age from now on."""
    began = monotonic()
    instruments.watch_value("process.memory.usage", resident)
    instruments.watch("process.cpu.time", lambda: zip(os.times()[:2], ("user", "system"), strict=True))
    instruments.watch_value("process.uptime", lambda: monotonic() - began)


def resident() -> int | None:
    """Bytes of memory held by the process; None where the system doesn't say."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except FileNotFoundError:
        return None


__all__ = ["resident", "watch_process"]

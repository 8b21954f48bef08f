"""Whether measurements can be written down: checked before measuring."""

from __future__ import annotations

from pathlib import Path


def unwritable(file: Path) -> str:
    """Why the file can't be written; empty for a writable file. Contents stay; no new file is left."""
    existed = file.exists()
    try:
        with file.open("ab"):
            pass
        if not existed:
            file.unlink()
    except OSError as error:
        return f"{file} can't be written: {error.strerror}"
    return ""


def undrawable(chart: Path) -> str:
    """Why the chart can't be drawn; empty without an obstacle."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        return f"{chart} can't be drawn: {error}; see `make bench`"
    known = Figure().canvas.get_supported_filetypes()
    if chart.suffix.lower().removeprefix(".") in known:
        return ""
    return f"{chart} can't be drawn: give it one of the endings {', '.join(sorted(known))}"


__all__ = ["undrawable", "unwritable"]

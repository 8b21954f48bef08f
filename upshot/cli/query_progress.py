"""How far a query is, on a terminal's stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from upshot.cli.terminal import notes
from upshot.insights.progress import ProgressListener, QueryProgress

#: Seconds before anything is shown: most queries are done by then.
_PATIENCE = 0.5


@contextmanager
def shown_progress(*, alone: bool) -> Iterator[ProgressListener | None]:
    """A line on stderr that says how far the query is, gone at its end; None where no person looks on
    or the terminal, not being `alone` for the progress, gets the answer meanwhile.
    """
    if not alone or not sys.stderr.isatty():
        yield None
        return
    with notes().status("asks ClickHouse …") as status:

        def show(progress: QueryProgress) -> None:
            if progress.seconds > _PATIENCE:
                status.update(progress_text(progress))

        yield show


def progress_text(progress: QueryProgress) -> str:
    """The progress in words."""
    whole = f" of {progress.total_rows:,}" if progress.total_rows >= progress.rows > 0 else ""
    read = f"{progress.rows:,}{whole} rows, {progress.bytes / 2**20:,.0f} MiB read"
    return f"{progress.seconds:.0f} s: {read} (Ctrl-C cancels)"


__all__ = ["progress_text", "shown_progress"]

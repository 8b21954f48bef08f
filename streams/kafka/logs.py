"""One line per message: the things people need while the program runs, the rest only on request."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from upshot.plain_text import plain

#: Faust's services talk here, also ours, so that their comings and goings don't mix with our messages.
SERVICES = logging.getLogger("faust.batch")

#: Their lines would fill a screen a second while a broker is away; the engine logs a single line.
#: So would OpenTelemetry while a collector is away; `upshot.ops.telemetry` says that.
TALKATIVE = ("faust", "mode", "aiokafka", "opentelemetry")


class OneLine(logging.Formatter):
    """Time, level and the first line, which may quote others and can't steer a terminal; a stack trace
    belongs to the debug file.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(
            {**record.__dict__, "exc_info": None, "exc_text": None, "stack_info": None}
        )
        return plain(super().format(record).partition("\n")[0])


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] not in TALKATIVE


def log_one_line(level: int = logging.INFO, debug_file: Path | None = None) -> None:
    """Log to stderr, a line per message; everything, with stack traces, to `debug_file`."""
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    handler.setLevel(level)
    if level > logging.DEBUG:
        handler.addFilter(_Quiet())
    root.addHandler(handler)
    root.setLevel(level)
    if debug_file is not None:
        everything = logging.FileHandler(debug_file)
        everything.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root.addHandler(everything)
        root.setLevel(logging.DEBUG)


__all__ = ["SERVICES", "OneLine", "log_one_line"]

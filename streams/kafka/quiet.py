"""Kafka's client in a thread of ours stays out of the log of the program around the thread."""

from __future__ import annotations

import logging

#: Threads of ours whose clients are kept quiet.
_quiet: set[str] = set()


def quieten(thread: str) -> None:
    """Keep Kafka's client in a thread of ours out of the agent's log."""
    _quiet.add(thread)
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("aiokafka")]:
        logging.getLogger(name).addFilter(_not_ours)


def _not_ours(record: logging.LogRecord) -> bool:
    """The client logs each attempt, many times a second."""
    return record.threadName not in _quiet or record.levelno < logging.INFO


__all__ = ["quieten"]

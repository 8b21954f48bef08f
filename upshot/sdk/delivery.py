"""Getting messages out of the agent's way, from the first message to the end of the process, across forks."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - for its hook, see the end
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from upshot.sdk.run_ids import RunIds
from upshot.sdk.sender import Delivered, Making, Sender
from upshot.sdk.spool import Spool
from upshot.sdk.termination import at_termination
from upshot.sdk.transport import Transport
from upshot.streams.events.outgoing import OutgoingEvent

logger = logging.getLogger("upshot")

#: Seconds for which the end of a process waits for Kafka.
AT_EXIT = 5.0


class Delivery:
    """Facts by way of the spool, telemetry by way of a bounded queue: handing over takes microseconds.

    Nothing is opened and no thread runs before the first message. After a fork the child begins anew, with a
    spool and a thread of its own; messages waiting at the fork are sent by the parent.
    """

    def __init__(
        self,
        transport: Callable[[], Transport],
        spool: Callable[[], Spool],
        run_ids: RunIds | None = None,
    ) -> None:
        #: The run ids chosen by the program.
        self.run_ids = run_ids or RunIds(None)
        self._transport = transport
        self._spool = spool
        self._sender = Sender(transport, spool, Delivered())

    @property
    def delivered(self) -> Delivered:
        """The counts so far, in this process."""
        return self._sender.delivered

    def fact(self, message: OutgoingEvent) -> None:
        """Keep a fact: the fact survives the end of the process, and is sent as soon as Kafka takes events.

        Raises SpoolFull: the fact isn't recorded.
        """
        _open.add(self)
        self._sender.fact(message)

    def telemetry(self, making: Making, size: int = 0) -> None:
        """Send the message made by `making`, called in another thread; drops are allowed and counted.

        `size` is about how many bytes `making` keeps in memory until then.
        """
        _open.add(self)
        self._sender.telemetry(making, size)

    def resume(self) -> None:
        """Send the facts left by earlier processes, now."""
        _open.add(self)
        self._sender.resume()

    def flush(self, timeout: float) -> bool:
        """Wait until Kafka has all earlier messages, at most `timeout` seconds; whether Kafka has."""
        return self._sender.flush(timeout)

    def close(self, timeout: float) -> None:
        """Send as many messages as possible within `timeout` seconds. A later message begins anew.

        Remaining facts stay in the spool's file for the next process, telemetry is dropped. Where Kafka
        doesn't answer, one attempt is all.
        """
        sender = self._sender
        sender.close(timeout)
        _open.discard(self)
        self._sender = Sender(self._transport, self._spool, sender.delivered)

    def begin_in_child(self) -> Sender:
        """Begin anew after a fork; the returned sender is the parent's and must never be closed here."""
        inherited = self._sender
        inherited.abandon()
        self._sender = Sender(self._transport, self._spool, Delivered())
        return inherited


def open_spool(folder: Path, limit_bytes: int) -> Spool:
    """A spool in `folder`; in memory where no file can be written."""
    try:
        return Spool(folder, limit_bytes)
    except (OSError, sqlite3.Error) as error:
        logger.warning(
            "no file can be written in %s (%s): facts that Kafka doesn't take before the process ends are "
            "lost; set UPSHOT_SPOOL_DIR to a folder that can be written",
            folder,
            error,
        )
        return Spool(None, limit_bytes)


#: Used deliveries: closed at the end of the process, even if their app is long forgotten.
_open: set[Delivery] = set()
#: Senders of a parent process: kept for ever, since closing them would disturb the parent.
_inherited: list[Any] = []


def _close_all() -> None:
    for delivery in list(_open):
        delivery.close(AT_EXIT)


def _begin_in_child() -> None:
    for delivery in list(_open):
        _inherited.append(delivery.begin_in_child())


# A host's name is looked up in an executor, and executors take no work any more when the functions of atexit
# run: a process ending before its connection could not deliver. Threads have a hook of their own, last
# registered first called, used by executors as well: theirs is registered by the import above, before ours.
getattr(threading, "_register_atexit", atexit.register)(_close_all)
at_termination(_close_all)
os.register_at_fork(after_in_child=_begin_in_child)

__all__ = ["AT_EXIT", "Delivery", "open_spool"]

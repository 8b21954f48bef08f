"""A thread with its own event loop takes facts from the spool and telemetry from a queue, and sends both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from upshot.backoff import Backoff
from upshot.errors import KafkaUnavailable, SpoolFull, Unavailable
from upshot.sdk.spool import Spool, SpooledMessage
from upshot.sdk.transport import THREAD, DeliveryRefused, DeliveryResult, Transport
from upshot.streams.events.outgoing import OutgoingEvent

logger = logging.getLogger("upshot")

#: Makes a message when its turn comes, away from the agent's threads; None for nothing to send.
Making = Callable[[], OutgoingEvent | None]

#: Telemetry waiting for Kafka, at the most: how many messages, and of how many bytes, roughly.
QUEUE = 10_000
QUEUE_BYTES = 64 * 1024 * 1024
#: A batch, at the most: how many messages, and of how many bytes.
_BATCH = 500
_BATCH_BYTES = 4 * 1024 * 1024
#: Seconds for gathering more messages after the first.
_LINGER = 0.02
#: Seconds between attempts while Kafka is away: the first and the longest.
_BACKOFF = (0.1, 5.0)
#: Seconds without an answer after which Kafka counts as away.
_SLOW = 2.0
#: Seconds between two warnings of one kind.
_QUIET = 60.0


@dataclass(frozen=True)
class Delivered:
    """Counts of an app's messages in this process.

    `facts`: Kafka has them. `waiting`: in the spool, sent later. `refused`: Kafka will never take them, they
    were put aside in the spool's file. `not_recorded`: lost, since the spool was full; the caller got
    SpoolFull. `telemetry`: steps and progress in Kafka. `dropped`: steps and progress lost for good.
    `available`: whether Kafka answered at the last attempt.
    """

    facts: int = 0
    waiting: int = 0
    refused: int = 0
    not_recorded: int = 0
    telemetry: int = 0
    dropped: int = 0
    available: bool = True


class Sender:
    """The state of one delivery from its first message to its end."""

    def __init__(
        self, transport: Callable[[], Transport], spool: Callable[[], Spool], delivered: Delivered
    ) -> None:
        self._make_transport = transport
        self._make_spool = spool
        self._delivered = delivered
        self._mutex = threading.Lock()
        self._rounds = threading.Condition()
        self._spool: Spool | None = None
        self._queue: deque[tuple[Making, int]] = deque()
        self._queued_bytes = 0
        self._unsent: list[OutgoingEvent] = []
        self._warned: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._end = asyncio.Event()
        self._awake = False
        self._busy = False
        self._adopted = False
        self._resuming = False
        self._closing = False

    @property
    def delivered(self) -> Delivered:
        """The counts so far."""
        return replace(self._delivered, waiting=len(self._spool) if self._spool else 0)

    def fact(self, message: OutgoingEvent) -> None:
        """Keep a fact, and send the fact once Kafka takes events. Raises SpoolFull: nothing is recorded."""
        try:
            self._open().append(message)
        except SpoolFull:
            self._count(not_recorded=1)
            raise
        self._rouse()

    def telemetry(self, making: Making, size: int) -> None:
        """Send a message of about `size` bytes if the queue has room, else drop and count it."""
        with self._mutex:
            room = len(self._queue) < QUEUE and self._queued_bytes + size <= QUEUE_BYTES
            if room:
                self._queue.append((making, size))
                self._queued_bytes += size
        if not room:
            self._drop(1, "Kafka is away or slow and the queue is full")
            return
        self._rouse()

    def resume(self) -> None:
        """Send the facts left by other processes, without waiting for a fact of this process."""
        self._open()
        self._resuming = True
        self._rouse()

    def flush(self, timeout: float) -> bool:
        """Wait until Kafka has all earlier messages, at most `timeout` seconds; whether Kafka has."""
        deadline = time.monotonic() + timeout
        with self._rounds:
            while not self._idle():
                self._rouse()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._rounds.wait(left)
        return True

    def close(self, timeout: float) -> None:
        """Send as much as `timeout` seconds allow, and end. Remaining facts stay in the spool's file."""
        self._closing = True
        if self._thread is not None:
            self._tell(self._wake.set)
            self._tell(self._end.set)
            self._thread.join(timeout)
        self._leave()
        unsent = len(self._queue) + len(self._unsent)
        if unsent:
            self._drop(unsent, "the process ends before Kafka has them")

    def abandon(self) -> None:
        """Let go of the spool's lock: this is the child of a fork, all else belongs to the parent."""
        if self._spool is not None:
            self._spool.abandon()

    def _idle(self) -> bool:
        left_by_others = self._resuming and not self._adopted
        waiting = self._spool and len(self._spool)
        return not (self._busy or self._queue or self._unsent or waiting or left_by_others)

    def _open(self) -> Spool:
        with self._mutex:
            if self._spool is None:
                self._spool = self._make_spool()
            return self._spool

    def _leave(self) -> None:
        with self._mutex:
            spool, self._spool = self._spool, None
        if spool is None:
            return
        if left := len(spool):
            fate = f"in {spool.path}, the next process sends them" if spool.path else "lost"
            logger.warning("facts that Kafka doesn't have: %d, %s", left, fate)
        spool.close()

    def _rouse(self) -> None:
        if self._awake:
            return
        self._awake = True
        with self._mutex:
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._work, args=(self._loop,), name=THREAD, daemon=True
                )
                self._thread.start()
        self._tell(self._wake.set)

    def _tell(self, action: Callable[[], None]) -> None:
        """Run something in the thread's loop; nothing once the loop has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(action)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._send(self._make_transport()))
        finally:
            # Where this thread failed, its trace has been printed; the next message begins another thread.
            self._busy = self._awake = False
            if not self._closing:
                self._thread = None

    async def _send(self, transport: Transport) -> None:
        backoff = Backoff(*_BACKOFF)
        try:
            while True:
                self._busy = True
                sent = await self._round(transport)
                self._busy = False
                with self._rounds:
                    self._rounds.notify_all()
                if self._closing and (self._idle() or not sent):
                    return
                if not sent:
                    await self._until_retry(backoff.pause())
                    continue
                backoff.reset()
                if self._idle():
                    await self._until_news()
        finally:
            await transport.stop()

    async def _until_news(self) -> None:
        self._wake.clear()
        self._awake = False
        if self._idle() and not self._closing:
            await self._wake.wait()
            await asyncio.sleep(0 if self._closing else _LINGER)

    async def _until_retry(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)

    async def _round(self, transport: Transport) -> bool:
        """Send a batch of the waiting messages; False where Kafka is away."""
        facts = self._facts()
        self._render()
        telemetry = self._unsent
        if not facts and not telemetry:
            return True
        try:
            await transport.start()
            results = await self._answered(
                transport.send([*telemetry, *(spooled.message for spooled in facts)])
            )
        except Unavailable as error:
            self._away(str(error))
            await transport.stop()
            return False
        if not self._delivered.available:
            self._count(available=True)
            logger.warning("Kafka takes events again")
        self._unsent = []
        self._settle_telemetry(results[: len(telemetry)])
        return self._settle_facts(facts, results[len(telemetry) :])

    def _facts(self) -> list[SpooledMessage]:
        spool = self._spool
        if spool is None:
            return []
        if not self._adopted:
            try:
                spool.adopt()
            finally:
                self._adopted = True
        return spool.first(_BATCH, _BATCH_BYTES)

    async def _answered(self, sending: Coroutine[Any, Any, list[DeliveryResult]]) -> list[DeliveryResult]:
        """The delivery results; a slow transport is reported, and left when the app closes."""
        task = asyncio.ensure_future(sending)
        await asyncio.wait({task}, timeout=_SLOW)
        if not task.done():
            self._away(f"Kafka hasn't answered for {_SLOW:g} s")
            end = asyncio.ensure_future(self._end.wait())
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            end.cancel()
        if not task.done():
            task.cancel()
            raise KafkaUnavailable("Kafka doesn't answer and the app closes")
        return task.result()

    def _away(self, why: str) -> None:
        self._count(available=False)
        self._warn("away", f"{why}; facts are kept, telemetry as long as there is room; trying again")

    def _settle_telemetry(self, results: Sequence[DeliveryResult]) -> None:
        refused = [result.reason for result in results if isinstance(result, DeliveryRefused)]
        self._count(telemetry=len(results) - len(refused))
        if refused:
            self._drop(len(refused), refused[0])

    def _settle_facts(self, facts: Sequence[SpooledMessage], results: Sequence[DeliveryResult]) -> bool:
        """Remove delivered facts from the spool; False where removing fails: the facts are sent once more."""
        spool = self._spool
        if spool is None:
            # Closed meanwhile, for taking too long: the facts stay in the file and are sent once more.
            return True
        taken = []
        try:
            for spooled, result in zip(facts, results, strict=True):
                if isinstance(result, DeliveryRefused):
                    self._put_aside(spool, spooled, result)
                else:
                    taken.append(spooled)
            spool.remove(taken)
        except sqlite3.Error as error:
            self._warn(
                "spool", f"{spool.path} can't be written ({error}): what is in it is sent again and again"
            )
            return False
        self._count(facts=len(taken))
        return True

    def _put_aside(self, spool: Spool, spooled: SpooledMessage, result: DeliveryRefused) -> None:
        spool.refuse(spooled, result.reason)
        self._count(refused=1)
        logger.error(
            "a fact for %s was put aside in %s: %s", spooled.message.topic, spool.path, result.reason
        )

    def _render(self) -> None:
        size = sum(len(message.value) for message in self._unsent)
        while self._queue and len(self._unsent) < _BATCH and size < _BATCH_BYTES:
            with self._mutex:
                making, about = self._queue.popleft()
                self._queued_bytes -= about
            try:
                message = making()
            except Exception:  # A span without a valid event must not hold back all others.
                logger.exception("a step could not be made into an event: it is dropped")
                self._count(dropped=1)
                continue
            if message is not None:
                self._unsent.append(message)
                size += len(message.value)

    def _drop(self, number: int, why: str) -> None:
        self._count(dropped=number)
        self._warn(why, f"telemetry is dropped, {self._delivered.dropped} so far: {why}; facts are safe")

    def _warn(self, kind: str, line: str) -> None:
        now = time.monotonic()
        if now - self._warned.get(kind, -_QUIET) >= _QUIET:
            self._warned[kind] = now
            logger.warning(line)

    def _count(self, *, available: bool | None = None, **more: int) -> None:
        with self._mutex:
            counts: dict[str, Any] = {name: getattr(self._delivered, name) + n for name, n in more.items()}
            if available is not None:
                counts["available"] = available
            self._delivered = replace(self._delivered, **counts)


__all__ = ["QUEUE", "QUEUE_BYTES", "Delivered", "Making", "Sender"]

"""The executor: runs deferred code beside the worker's processing loop, in an event loop of its own."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Sequence
from threading import Lock

from upshot.followups.engine import execute
from upshot.followups.failing import error_text
from upshot.followups.loops import LoopThread
from upshot.followups.scorers import HasScorers, Scorer, Scorers
from upshot.processors.followups.execution import Execution, Snapshot
from upshot.streams.events.instants import Micros

logger = logging.getLogger(__name__)

CONCURRENCY = 100
#: Seconds without an answer after which a loop counts as blocked by user code.
_BLOCKED = 3.0
#: Most blocked loops; beyond, nothing more is started.
_MOST_BLOCKED = 8
#: Seconds beyond its timeout for an execution to end by itself.
_GRACE = 5.0


class _UnderWay:
    def __init__(self, memory: Snapshot, scorer: Scorer[object, None] | None, thread: LoopThread) -> None:
        self.memory = memory
        self.scorer = scorer
        self.thread = thread
        self.since: Micros = time.time_ns() // 1000
        self.ends = time.monotonic() + (scorer.timeout.total_seconds() if scorer else 0.0) + _GRACE
        self.task: asyncio.Task[Execution] | None = None


class LoopExecutor:
    """See `upshot.processors.followups.execution.Executor`. The methods may be called in any thread.

    All code shares one event loop, so clients can be shared. Code blocking the loop (a plain call taking
    long, instead of a step) holds up the executions there; later executions get another loop.
    """

    def __init__(self, scorers: Scorers, concurrency: int) -> None:
        self._scorers = scorers
        self._concurrency = concurrency
        self._mutex = Lock()
        self._under_way: dict[str, _UnderWay] = {}
        self._finished: list[tuple[str, Execution]] = []
        self._thread: LoopThread | None = None
        self._blocked: list[LoopThread] = []

    def knows(self, scorer: str, version: str) -> bool:
        """Whether this code is deployed here."""
        return (scorer, version) in self._scorers

    def start(self, memory: Snapshot) -> None:
        """Run a follow-up's code; at most one execution of a follow-up is under way at a time."""
        origin = memory.origin
        with self._mutex:
            if self._thread is None:
                self._thread = LoopThread("upshot-followups")
            one = _UnderWay(memory, self._scorers.get((origin.scorer, origin.version)), self._thread)
            self._under_way[origin.followup_id] = one
            thread = self._thread
        thread.call(lambda: self._begin(one, thread))

    def finished(self) -> Sequence[tuple[str, Execution]]:
        """The executions ended since the last call, by follow-up id."""
        if self._under_way or self._blocked:
            self._give_up()
            self._relieve()
        with self._mutex:
            finished, self._finished = self._finished, []
        return finished

    def forget(self, followup_id: str) -> None:
        """Stop an execution whose follow-up now belongs to another worker; the execution is dropped."""
        with self._mutex:
            one = self._under_way.pop(followup_id, None)
        if one is not None:
            one.thread.call(lambda: one.task is not None and one.task.cancel())

    def room(self) -> int:
        """How many more executions may be started now."""
        if len(self._blocked) >= _MOST_BLOCKED:
            return 0
        return max(0, self._concurrency - len(self._under_way))

    def running(self) -> Sequence[tuple[str, Micros]]:
        """The executions under way, and since when."""
        with self._mutex:
            return [(followup_id, one.since) for followup_id, one in self._under_way.items()]

    def close(self) -> None:
        """Stop all executions; executions under way are dropped."""
        with self._mutex:
            threads = [*self._blocked, *([self._thread] if self._thread else [])]
            self._blocked, self._thread = [], None
            self._under_way.clear()
            self._finished.clear()
        for thread in threads:
            thread.stop()

    def _begin(self, one: _UnderWay, thread: LoopThread) -> None:
        """In the loop: begin, unless the execution was forgotten or moved to another loop by now."""
        followup_id = one.memory.origin.followup_id
        if self._under_way.get(followup_id) is not one or one.thread is not thread:
            return
        if one.scorer is None:
            origin = one.memory.origin
            error = f"{origin.scorer} version {origin.version} isn't deployed here"
            self._end(one, Execution("failed", error=error))
            return
        one.task = thread.loop.create_task(execute(one.scorer, one.memory))
        one.task.add_done_callback(lambda task: self._end(one, _result(task)))

    def _end(self, one: _UnderWay, execution: Execution) -> None:
        followup_id = one.memory.origin.followup_id
        with self._mutex:
            if self._under_way.get(followup_id) is one:
                del self._under_way[followup_id]
                self._finished.append((followup_id, execution))

    def _give_up(self) -> None:
        """Drop executions whose code can't even be notified of the end of its time."""
        now = time.monotonic()
        with self._mutex:
            overdue = [one for one in self._under_way.values() if one.ends < now]
        for one in overdue:
            origin = one.memory.origin
            error = (
                f"the code of {origin.scorer} version {origin.version} doesn't end, and blocks its event "
                "loop or takes no notice of being cancelled (the loop is at "
                f"{one.thread.where() or 'rest'}): call what takes long as a step"
            )
            self._end(one, Execution("failed", error=error))

    def _relieve(self) -> None:
        """Continue in another loop where code blocks the current loop, and end loops no longer needed."""
        with self._mutex:
            used = {one.thread for one in self._under_way.values()}
            idle = [thread for thread in self._blocked if thread not in used and not thread.blocked_for()]
            self._blocked = [thread for thread in self._blocked if thread not in idle]
        for thread in idle:
            thread.stop()
        blocked = self._thread
        if blocked is None or len(self._blocked) >= _MOST_BLOCKED or blocked.blocked_for() < _BLOCKED:
            return
        # A loop outside of user code is slow because the machine is busy.
        if (place := blocked.where()) is not None:
            logger.warning(
                "deferred code blocks its event loop at %s: others go on in a new one; call what takes long "
                "as a step, ctx.step runs plain functions in threads",
                place,
            )
            self._leave(blocked)

    def _leave(self, blocked: LoopThread) -> None:
        """Start all later executions, and all executions not begun yet, in a new loop."""
        with self._mutex:
            self._blocked.append(blocked)
            self._thread = thread = LoopThread("upshot-followups")
            waiting = [one for one in self._under_way.values() if one.thread is blocked and one.task is None]
            for one in waiting:
                one.thread = thread
        for one in waiting:
            thread.call(functools.partial(self._begin, one, thread))


def _result(task: asyncio.Task[Execution]) -> Execution:
    if task.cancelled():
        return Execution("failed", error="it was cancelled")
    error = task.exception()
    return task.result() if error is None else Execution("failed", error=error_text(error))


def make_executor(app: HasScorers, *, concurrency: int = CONCURRENCY) -> LoopExecutor:
    """Runs the scorers of an app, at most `concurrency` at a time. Starts no thread before the first one."""
    return LoopExecutor(app.scorers, concurrency)


__all__ = ["CONCURRENCY", "LoopExecutor", "make_executor"]

"""Code of a follow-up that ends its own process is found, and fails as if the code had raised.

The process may end in any way: `os._exit`, a fault in an extension, a kill for memory. A follow-up whose code
was under way at `TOGETHER` ends in a row runs alone; after `ALONE` ends alone the follow-up fails for good,
with a dead letter, and is run again by `upshot followups retry`. A deploy stops executions in good order and
counts as no end; a kill counts only where it comes while the same execution is under way again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from upshot.followups.crash_journal import CrashJournal
from upshot.processors.followups.execution import Execution, Executor, Snapshot
from upshot.streams.events.instants import Micros

logger = logging.getLogger(__name__)

#: Ends of the process in a row, with others under way, after which a follow-up runs alone.
TOGETHER = 2
#: Ends of the process in a row, with the follow-up alone, after which the follow-up fails.
ALONE = 3
#: Seconds for which others wait for a follow-up that runs alone, and a follow-up for others to end.
_PATIENCE = 30.0


class CrashGuard:
    """An executor in front of another: it keeps the journal, and runs suspects alone.

    See `upshot.processors.followups.execution.Executor`.
    """

    def __init__(
        self, executor: Executor, journal: CrashJournal, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._executor = executor
        self._journal = journal
        self._clock = clock
        #: Suspects that wait for the end of what is under way, and since when.
        self._waiting: dict[str, tuple[Snapshot, float]] = {}
        #: The follow-up that runs alone, and until when.
        self._alone: tuple[str, float] | None = None
        self._failed: list[tuple[str, Execution]] = []

    def knows(self, scorer: str, version: str) -> bool:
        """Whether this code is deployed here."""
        return self._executor.knows(scorer, version)

    def start(self, memory: Snapshot) -> None:
        """Run a follow-up's code; alone, once nothing else is under way, where the follow-up is a suspect."""
        followup_id = memory.origin.followup_id
        crashes = self._journal.suspects.get(followup_id)
        if crashes is None or crashes.ends < TOGETHER:
            self._begin(memory, alone=False)
        elif crashes.alone < ALONE:
            self._waiting[followup_id] = memory, self._clock()
            self._next()
        else:
            error = (
                f"the process ended each of the last {ALONE} times that the code of {memory.origin.scorer} "
                "ran alone (os._exit, a fault in an extension, a kill for memory): see the worker's log"
            )
            logger.error("follow-up %s fails: %s", followup_id, error)
            self._journal.end(followup_id)
            self._failed.append((followup_id, Execution("failed", error=error, attempts=1)))

    def finished(self) -> Sequence[tuple[str, Execution]]:
        """The executions ended since the last call, by follow-up id."""
        ended = self._executor.finished()
        for followup_id, _ in ended:
            self._over(followup_id)
        self._next()
        failed, self._failed = self._failed, []
        return [*failed, *ended] if failed else ended

    def forget(self, followup_id: str) -> None:
        """Stop an execution whose follow-up now belongs to another worker; the execution is dropped."""
        if self._waiting.pop(followup_id, None) is None:
            self._executor.forget(followup_id)
            self._over(followup_id)
        self._next()

    def room(self) -> int:
        """How many more executions may be started now: none while a suspect is alone, or waits to be."""
        self._next()
        return 0 if self._alone or self._waiting else self._executor.room()

    def running(self) -> Sequence[tuple[str, Micros]]:
        """The executions under way, and since when."""
        return self._executor.running()

    def close(self) -> None:
        """Stop all executions; executions under way are dropped."""
        self._executor.close()
        self._journal.close()

    def _next(self) -> None:
        """Begin the next suspect where nothing is under way, or where it has waited long enough."""
        now = self._clock()
        if self._alone is not None and now >= self._alone[1]:
            self._journal.accompanied(self._alone[0])
            self._alone = None
        if self._alone is None and self._waiting:
            followup_id, (memory, since) = next(iter(self._waiting.items()))
            alone = not self._executor.running()
            if alone or now - since >= _PATIENCE:
                del self._waiting[followup_id]
                self._begin(memory, alone)

    def _begin(self, memory: Snapshot, alone: bool) -> None:
        followup_id = memory.origin.followup_id
        if alone:
            self._alone = followup_id, self._clock() + _PATIENCE
        self._journal.begin(followup_id, alone)
        self._executor.start(memory)

    def _over(self, followup_id: str) -> None:
        self._journal.end(followup_id)
        if self._alone is not None and self._alone[0] == followup_id:
            self._alone = None


__all__ = ["ALONE", "TOGETHER", "CrashGuard"]

"""Units of work, in sequence: poll, process, changelog, outputs; and the barrier before a commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Literal

from upshot.errors import ConfigurationError, KafkaUnavailable, UnitFailed
from upshot.streams.events.effects import Effects, Output
from upshot.streams.events.handler import TP, BatchHandler, Pipelined, Resuming, Unsettled
from upshot.streams.events.records import Record
from upshot.streams.kafka.sender import BatchSender
from upshot.streams.metrics.engine import EngineMetrics
from upshot.streams.runtime.inflight import InFlightWrite
from upshot.streams.runtime.poison import BEGUN, Note, PoisonGuard, write_note
from upshot.streams.runtime.source import Polled, RecordSource
from upshot.streams.runtime.table import BatchTable, Writing
from upshot.streams.runtime.timing import Timing

log = logging.getLogger(__name__)

#: A cancelled handler gets so long to give up.
GIVE_UP_WITHIN = 5.0
#: So long it's tried to take notes back that are no record's fault.
TAKE_BACK_WITHIN = 2.0

Unit = Callable[[], Coroutine[Any, Any, None]]

Fate = Literal[
    "committed",  # all of it is durable, and its offsets are committed
    "dropped",  # nothing more is committed: the records come again, here or elsewhere
    "failed",  # a unit has failed, see `ProcessingLoop.failure`: the same, and the worker has to stop
]


class _Fenced(Exception):
    """The partitions may belong to another worker: drop work in flight."""


class ProcessingLoop:
    """Runs a handler over a source. Open while partitions are ours, closed in between.

    At any time at most one unit runs: a call of the handler and its consequences, but for its changes being
    acknowledged and its outputs after them, which may go on beside the next call. A unit's failure is kept,
    raised from `run`, and nothing is committed afterwards.
    """

    def __init__(
        self,
        handler: BatchHandler,
        source: Callable[[], RecordSource],
        sender: BatchSender,
        table: BatchTable | None,
        timing: Timing,
        commit_interval: float,
        engine_metrics: EngineMetrics,
        dead_letter: Callable[[Record, str], Output],
    ) -> None:
        self._handler = handler
        self._source = source
        self._sender = sender
        self._table = table
        self._timing = timing
        self._commit_interval = commit_interval
        self._engine_metrics = engine_metrics
        self._dead_letter = dead_letter
        self._guard = PoisonGuard()
        #: Held while records are fetched: seeking beside a fetch would lose what it brings.
        self.polling = asyncio.Lock()
        #: Counts the times that partitions were taken away.
        self.epoch = 0
        self._generation = -1
        self._positions: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        self._gate = asyncio.Event()
        self._busy = asyncio.Lock()
        self._unit: asyncio.Task[None] | None = None
        self._in_flight = InFlightWrite()
        self._opened = False
        self._fenced = False
        #: What a unit has failed with; nothing runs after that.
        self.failure: BaseException | None = None
        self._next_tick = self._next_commit = 0.0
        sender.guard = self._must_be_member

    def position(self, tp: TP) -> int:
        """See BatchContext."""
        return self._positions[tp]

    def positions(self) -> Mapping[TP, int]:
        """Where each of our partitions stands. Callable from any thread."""
        return self._positions.copy()

    def assignment(self) -> frozenset[TP]:
        """See BatchContext."""
        return frozenset(self._positions)

    @property
    def is_open(self) -> bool:
        """Whether records are processed."""
        return self._gate.is_set()

    async def open(
        self, epoch: int, generation: int, positions: Mapping[TP, int], notes: Mapping[TP, str]
    ) -> None:
        """Work from these positions on, with the notes found there, unless partitions were taken away since
        `epoch`.
        """

        async def assign() -> None:
            if epoch != self.epoch:
                return
            self._generation, self._opened, self._fenced = generation, True, False
            self._positions, self._committed = dict(positions), dict(positions)
            self._guard.assigned(notes)
            self._engine_metrics.assigned()
            await self._handler.assigned(self.assignment())
            self._next_tick = self._next_commit = monotonic()
            try:
                await self._resume()
            except _Fenced:
                self._fence()
            else:
                self._gate.set()

        await self._exclusive(assign)
        self._raise_failure()

    async def _resume(self) -> None:
        if isinstance(self._handler, Resuming):
            await self._carry_out(await self._handler.resume())
            await self._in_flight.landed()

    async def close(self, within: float) -> Fate:
        """Stop working: finish work in flight, flush and commit; or drop the work after `within` seconds.

        Does not raise a unit's failure.
        """
        self.epoch += 1
        self._gate.clear()
        if not self._opened:
            await self._cancel()
            return "failed" if self.failure else "dropped"
        finished = await self._finishes(self._last_barrier, within)
        if not finished:
            log.warning("what is in flight takes over %.0f s: dropped, its records come again", within)
        await self._drop_in_flight()
        self._sender.forget()
        await self._take_back_notes(finished)
        await self._revoke(within)
        return "failed" if self.failure else "committed" if finished and not self._fenced else "dropped"

    async def run(self) -> None:
        """Work until cancelled. Raises a unit's failure; nothing is committed afterwards."""
        while True:
            await self._gate.wait()
            epoch = self.epoch
            async with self.polling:
                polled = await self._source().poll(
                    self.assignment(), self._patience(), self._timing.poll_records
                )
            await self._exclusive(lambda: self._turn(epoch, polled))  # noqa: B023 - awaited here
            self._raise_failure()

    def _patience(self) -> float:
        due = min(self._next_tick, self._next_commit) - monotonic()
        return max(0.0, min(self._timing.poll_timeout, due))

    async def _turn(self, epoch: int, polled: Polled) -> None:
        """The records polled, then the clock, then the commit, as each is due."""
        if epoch != self.epoch or self._fenced:
            return
        try:
            await self._process(polled)
            if monotonic() >= self._next_tick and epoch == self.epoch:
                self._next_tick = monotonic() + self._timing.tick_interval
                await self._in_flight.landed()
                with self._engine_metrics.timing("tick"):
                    effects = await self._handler.tick()
                await self._carry_out(effects)
            if monotonic() >= self._next_commit and epoch == self.epoch:
                await self._barrier(self._durable())
                self._next_commit = monotonic() + self._commit_interval
        except _Fenced:
            self._fence()

    async def _process(self, polled: Polled) -> None:
        batches = {
            tp: due for tp, records in polled.records.items() if (due := self._due(tp, records, polled))
        }
        if not batches:
            await self._in_flight.landed()
        if calm := {tp: records for tp, records in batches.items() if self._guard.is_calm(tp)}:
            await self._guard.handle(calm, self)
        suspected = {tp: records for tp, records in batches.items() if tp not in calm}
        for tp in polled.positions.keys() - suspected.keys():
            self._positions[tp] = polled.positions[tp]
        if suspected:
            await self._settled()
        for tp in sorted(suspected, key=self._guard.suspicion):
            await self._guard.handle_carefully(tp, suspected[tp], self)
            self._positions[tp] = polled.positions[tp]

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Callable[[], Awaitable[None]]:
        """See `poison.Work`."""
        self._engine_metrics.took(batches)
        with self._engine_metrics.timing("process"):
            effects = await self._handler.process(batches)
        return lambda: self._carry_out(effects)

    async def mark(self, notes: Mapping[TP, Note]) -> None:
        """See `poison.Work`."""
        at = {tp: self._committed[tp] for tp in notes}
        await self._commit(at, {tp: write_note(note) for tp, note in notes.items()})

    async def settle(self, tp: TP, position: int) -> None:
        """See `poison.Work`."""
        self._positions[tp] = position
        await self._settled()

    async def set_aside(self, record: Record, why: str) -> None:
        """See `poison.Work`."""
        await self._sender.outputs([self._dead_letter(record, why)])
        await self._sender.flush()

    async def _settled(self) -> None:
        await self._barrier()
        if self._fenced:
            raise _Fenced

    async def _commit(self, positions: Mapping[TP, int], notes: Mapping[TP, str]) -> None:
        if not await self._source().commit_positions(positions, self._generation, notes):
            raise _Fenced

    def _due(self, tp: TP, records: list[Record], polled: Polled) -> list[Record]:
        position = self._positions[tp]
        if records and records[0].offset < position:
            if polled.positions[tp] > position:
                return [record for record in records if record.offset >= position]
            log.error("%s/%s was cut back to offset %d: reading on from there", *tp, records[0].offset)
        return records

    async def _carry_out(self, effects: Effects) -> None:
        """Changes first, and acknowledged; then the outputs. The other way round where the effects say so.

        While the changelog acknowledges, the next unit is already processed; its effects wait here.
        """
        wait = 0.0 if effects.more else effects.tick_within
        if wait is not None:
            self._next_tick = min(self._next_tick, monotonic() + wait)
        changed = any(effects.changes.values())
        if changed and self._table is None:
            raise ConfigurationError("a handler without a table has changed one; nothing was written")
        await self._in_flight.landed()
        if changed or effects.outputs_first:
            await self._must_be_member()
        if effects.outputs_first or not changed:
            await self._sender.outputs(effects.outputs)
        if effects.outputs_first:
            await self._sender.flush()
        if changed and self._table is not None:
            writing = await self._table.begin(effects.changes, self._sender)
            outputs = [] if effects.outputs_first else effects.outputs
            self._in_flight.start(self._land(self._table, writing, outputs))

    async def _land(self, table: BatchTable, writing: Writing, outputs: Iterable[Output]) -> None:
        with self._engine_metrics.timing("changelog"):
            foreign = await table.finish(writing, self._sender)
        await self._restore(foreign)
        await self._sender.outputs(outputs)

    async def _must_be_member(self) -> None:
        if not await self._source().is_member(self._generation):
            raise _Fenced

    async def _check_changelog(self) -> None:
        """Find a former owner's late writes, also to partitions without writes of ours."""
        if self._table is not None and self._positions:
            topic = self._table.changelog_topic_name
            numbers = {tp.partition for tp in self._positions if self._table.has(tp.partition)}
            tps = [TP(topic, number) for number in sorted(numbers)]
            ends = await self._source().list_end_offsets(tps)
            await self._restore(self._table.foreign({tp.partition: end for tp, end in ends.items()}))

    async def _restore(self, foreign: Mapping[int, range]) -> None:
        """Have our values be the last of the changelog, if the changelog is still ours."""
        if foreign and self._table is not None:
            if not await self._source().is_member(self._generation, ask=True):
                raise _Fenced
            await self._table.restore(foreign, self._sender)

    async def _barrier(self, durable: Mapping[TP, int] | None = None, *, last: bool = False) -> None:
        """Outputs acknowledged, changelog ours, handler flushed, then one commit of all processed records.

        Where the handler reports positions as `durable` already, these are committed, and nothing is flushed.
        The `last` barrier takes back the notes of begun work.
        """
        if self.failure is not None or self._fenced:
            return
        await self._in_flight.landed()
        reached = self._positions if durable is None else durable
        noted = self._guard.to_take_back(reached) if last else set()
        moved = {tp: offset for tp, offset in reached.items() if self._committed[tp] != offset or tp in noted}
        with self._engine_metrics.timing("flush"):
            await self._sender.flush()
            await self._check_changelog()
            if not moved:
                return
            if durable is None:
                await self._handler.flush()
        with self._engine_metrics.timing("commit"):
            await self._commit(moved, {} if last else dict.fromkeys(moved, BEGUN))
        self._committed.update(moved)

    def _durable(self) -> Mapping[TP, int] | None:
        return self._handler.durable() if isinstance(self._handler, Pipelined) else None

    async def _last_barrier(self) -> None:
        try:
            await self._barrier(last=True)
        except _Fenced:
            self._fence()

    async def _take_back_notes(self, finished: bool) -> None:
        """No record is to blame for a rebalance, a changed topic or an outage in the middle of a unit.

        Where the group has moved on without this worker, nothing is taken back: a record may be the cause.
        """
        blameless = isinstance(self.failure, Unsettled | KafkaUnavailable)
        if blameless or (self.failure is None and (self._fenced or not finished)):
            with suppress(Exception):
                async with asyncio.timeout(TAKE_BACK_WITHIN):
                    noted = self._guard.to_take_back(self._committed)
                    await self._commit({tp: self._committed[tp] for tp in noted}, {})

    def _fence(self) -> None:
        if not self._fenced:
            log.warning("the group has moved on without this worker: what was in flight comes again")
        self._fenced = True
        self._gate.clear()

    async def _drop_in_flight(self) -> None:
        if not await self._in_flight.drop(GIVE_UP_WITHIN):
            self.failure = UnitFailed("a write to the changelog goes on although it was cancelled")
        if self._table is not None:
            self._table.forget()

    async def _revoke(self, within: float) -> None:
        revoked, self._opened, self._positions, self._committed = self.assignment(), False, {}, {}
        await self._finishes(lambda: self._handler.revoked(revoked), within)

    async def _finishes(self, work: Unit, within: float) -> bool:
        """Whether the running unit and then `work` end in time; otherwise they are cancelled."""
        try:
            async with asyncio.timeout(within) as limit:
                await self._exclusive(work)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._cancel()
            return False
        return True

    async def _exclusive(self, work: Unit) -> None:
        """Run a unit when the unit before has ended. A cancelled unit counts as done."""
        async with self._busy:
            if self.failure is not None:
                return
            unit = self._unit = asyncio.create_task(work())
            try:
                await asyncio.wait({unit})
            except asyncio.CancelledError:
                await self._cancel()
                raise
            with suppress(asyncio.CancelledError):
                self.failure = unit.exception() or self.failure

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def _cancel(self) -> None:
        """End the running unit; a unit not giving up is a failure."""
        if self._unit is not None and not self._unit.done():
            self._unit.cancel()
            if not (await asyncio.wait({self._unit}, timeout=GIVE_UP_WITHIN))[0]:
                self.failure = UnitFailed("the handler goes on although it was cancelled")


__all__ = ["Fate", "ProcessingLoop"]

"""The handler of follow-ups: arrivals wake them, their code runs beside the loop, their requests go out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.metrics import Meter

from upshot.processors.clock import wall_clock
from upshot.processors.followups.decide import (
    WITHDRAWN,
    Patience,
    arrive,
    end,
    find,
    forgotten_at,
    give_up,
    keep_results,
    look_now,
    miss,
    next_look,
    wake_timers,
)
from upshot.processors.followups.decode import read_deferred, read_resumed
from upshot.processors.followups.execution import Executor
from upshot.processors.followups.facts import Arrival, Transition
from upshot.processors.followups.metrics import watch_followups
from upshot.processors.followups.outputs import Outputs
from upshot.processors.followups.state import (
    MAX_STATE_BYTES,
    FollowupState,
    decode_followup,
    encode_followup,
    memory_of,
)
from upshot.processors.followups.undeployed import LOOK_AGAIN, Undeployed
from upshot.processors.followups.under_way import Ended, UnderWay
from upshot.processors.routing import Router
from upshot.settings import Settings
from upshot.streams.events.instants import MICROSECOND, Micros
from upshot.streams.events.records import Record
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchApp, BatchContext, Change, Effects, Timing, batch_app

ROLE = "followups"
TABLE = "followups"
#: Keys in one look for newly deployed code.
_AT_ONCE = 2_000
_UNKNOWN = FollowupState()
#: Microseconds for answers to new requests; then anything no longer given by the code is withdrawn.
_SETTLING: Micros = 1_000_000

log = logging.getLogger(__name__)


class Followups:
    """Reads `deferrals` and `resumptions`, keeps a table by follow-up, runs code by the `executor`.

    Writes `waits`, `scores`, `deferrals`, `followups` and `dead-letters`. An execution is started from
    durable state, or follows from durable state by the clock. The execution's requests are announced before
    the state remembers them, since no record would come again to ask for them; the results of steps are
    stored before either. So a crash at any point runs the code again, with the same results of steps, and the
    code has the same requests.
    """

    def __init__(
        self,
        context: BatchContext,
        settings: Settings,
        executor: Executor,
        now: Callable[[], Micros] = wall_clock,
    ) -> None:
        self._context = context
        self._executor = executor
        self._now = now
        self._deferrals = settings.topic("deferrals")
        self._retention = settings.settled_retention // MICROSECOND
        self._patience = Patience(
            settings.followup_attempts,
            settings.followup_first_pause // MICROSECOND,
            settings.followup_longest_pause // MICROSECOND,
            _SETTLING,
        )
        self._router = Router[Arrival](context, settings, ("deferrals", "resumptions"), key="followup_id")
        self.counts = self._router.counts
        #: By reason.
        self.dead_letters = self._router.dead_letters
        self._outputs = Outputs(settings, self.dead_letters)
        self._under_way = UnderWay(executor)
        self.undeployed = Undeployed()
        #: Newly assigned partitions: code missing at their last worker may be deployed here.
        self._fresh: set[int] = set()
        self._turn = 0

    @property
    def topics(self) -> Sequence[str]:
        """The topics read."""
        return self._router.topics

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Check for equal numbers of partitions of both topics."""
        await self._router.check()
        self._fresh = {tp.partition for tp in tps}

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Stop all executions: the next owner of the partitions starts them again."""
        self._under_way.forget()
        self.undeployed.forget()
        self._fresh = set()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Apply the records. The tick right after starts the woken follow-ups, from durable state."""
        effects, now = Effects(), self._now()
        arrivals: dict[int, list[Arrival]] = {}
        for tp, records in batches.items():
            read = read_deferred if tp.topic == self._deferrals else read_resumed
            taken = self._router.take(tp, records, read, now, effects)
            arrivals.setdefault(tp.partition, []).extend(taken)
        for partition, arrived in arrivals.items():
            states = self._known(partition, {arrival.followup_id for arrival in arrived})
            for arrival in arrived:
                key = arrival.followup_id
                before = states.get(key, _UNKNOWN)
                moved = arrive(before, arrival, now)
                states[key] = self._move(partition, key, before, moved, effects)
        effects.more = any(effects.changes.values())
        return effects

    async def tick(self) -> Effects:
        """Apply ended executions, then start others and look at the clock."""
        effects, now = Effects(), self._now()
        self._router.tell(log, now)
        for partition, ended in self._under_way.ended().items():
            self._take_up(partition, ended, now, effects)
        for partition in list(self._fresh):
            self._look_for_code(partition, now, effects)
        self._look(now, effects)
        self.undeployed.tell(log, now)
        effects.outputs_first = bool(effects.outputs)
        effects.tick_within = self._under_way.patience(now)
        return effects

    async def flush(self) -> None:
        """Nothing: the table and the outputs belong to the batch engine."""

    def _take_up(self, partition: int, ended: Iterable[Ended], now: Micros, effects: Effects) -> None:
        ends = {one.followup_id: one for one in ended}
        states = self._known(partition, ends)
        for key, one in ends.items():
            state = states[key]
            with_results = keep_results(state, one.started.known, one.execution)
            if with_results is not state:
                after = self._move(partition, key, state, Transition(with_results, (), "kept"), effects)
                if after is with_results:
                    self._under_way.hold(one)
                else:
                    self._under_way.applied(one)
                effects.more = True
                continue
            self._under_way.applied(one)
            moved = end(state, one.started.known, one.execution, now, self._patience)
            self._move(partition, key, state, moved, effects)
            effects.more = effects.more or moved.happened == "overtaken"

    def _look(self, now: Micros, effects: Effects) -> None:
        """Look at due follow-ups, as far as the executor has room."""
        room = self._executor.room()
        partitions = self._router.units()
        if room <= 0 or not partitions:
            return
        share = max(1, room // len(partitions))
        self._turn += 1
        for number in range(len(partitions)):
            partition = partitions[(number + self._turn) % len(partitions)]
            passed_over = self._under_way.count(partition) + len(effects.changes.get(partition, ()))
            due = self._context.table.due(partition, now, passed_over + share)
            effects.more = effects.more or len(due) == passed_over + share
            taken = effects.changes.get(partition, {})
            keys = [key.decode() for key in due if key not in taken]
            for key, state in self._known(partition, keys).items():
                if key not in self._under_way:
                    self._look_at(partition, key, state, now, effects)

    def _look_at(self, partition: int, key: str, state: FollowupState, now: Micros, effects: Effects) -> None:
        before = state
        if state.cancelled and state.run_at is not None:
            self._withdraw(partition, key, state, effects)
            return
        timer = state.next_timer
        if timer is not None and timer <= now:
            state = self._move(partition, key, state, wake_timers(state, now), effects)
        memory = memory_of(state)
        forgotten = forgotten_at(state, self._retention)
        if memory is not None and state.run_at is not None and state.run_at <= now:
            if not self._executor.knows(memory.origin.scorer, memory.origin.version):
                self.undeployed.add(memory.origin)
                self._move(partition, key, state, miss(state, now, now + LOOK_AGAIN), effects)
            elif self._executor.room() > 0:
                self.undeployed.remove(key)
                state = self._move(partition, key, state, find(state, now), effects)
                self._under_way.start(partition, state.known, memory, now)
        elif state is before and forgotten is not None and forgotten <= now:
            self.counts["retired"] += 1
            effects.changes.setdefault(partition, {})[key.encode()] = None

    def _withdraw(self, partition: int, key: str, state: FollowupState, effects: Effects) -> None:
        """Take back all scores and requests of a cancelled follow-up: stored first, then announced."""
        with_results = keep_results(state, state.known, WITHDRAWN)
        if with_results is not state:
            effects.more = True
            self._move(partition, key, state, Transition(with_results, (), "kept"), effects)
        else:
            self._move(
                partition,
                key,
                state,
                end(state, state.known, WITHDRAWN, self._now(), self._patience),
                effects,
            )

    def _look_for_code(self, partition: int, now: Micros, effects: Effects) -> None:
        """Look at follow-ups with missing code now, instead of at their next turn."""
        due = self._context.table.due(partition, now + LOOK_AGAIN, _AT_ONCE)
        found = 0
        for key, state in self._known(partition, map(bytes.decode, due)).items():
            if state.status != "undeployed" or state.origin is None or (state.run_at or 0) <= now:
                continue
            if self._executor.knows(state.origin.scorer, state.origin.version):
                self._keep(partition, key, look_now(state, now), effects)
                found += 1
            else:
                self.undeployed.add(state.origin)
        if not found or len(due) < _AT_ONCE:
            self._fresh.discard(partition)
        effects.more = effects.more or found > 0

    def _move(
        self, partition: int, key: str, before: FollowupState, moved: Transition, effects: Effects
    ) -> FollowupState:
        """Store a transition's changes, and output its facts. Returns the follow-up afterwards."""
        if moved.state is not before and not self._keep(partition, key, moved.state, effects):
            error = f"its answers and the results of its steps are over {MAX_STATE_BYTES} bytes"
            moved = give_up(before, f"{error}: keep long content elsewhere, and a link to it", self._now())
            self._keep(partition, key, moved.state, effects)
        self.counts[moved.happened] += 1
        effects.outputs += self._outputs.of(moved.facts)
        return moved.state

    def _keep(self, partition: int, key: str, state: FollowupState, effects: Effects) -> bool:
        value = encode_followup(state)
        if len(value) > MAX_STATE_BYTES:
            return False
        changes = effects.changes.setdefault(partition, {})
        changes[key.encode()] = Change(value, next_look(state, self._retention))
        return True

    def _known(self, partition: int, keys: Iterable[str]) -> dict[str, FollowupState]:
        names = list(keys)
        values = self._context.table.get_many(partition, [key.encode() for key in names])
        return {
            key: decode_followup(value) for key, value in zip(names, values, strict=True) if value is not None
        }


def followups_app(
    settings: Settings, executor: Executor, timing: Timing | None = None, meter: Meter | None = None
) -> BatchApp:
    """The Faust app of follow-ups whose code is run by `executor`, measured on `meter`.

    Call the function within a running event loop.
    """
    instruments = Instruments(ROLE, meter)

    def make(context: BatchContext) -> Followups:
        role = Followups(context, settings, executor)
        watch_followups(instruments, role.counts, role.dead_letters, role.undeployed, executor, wall_clock)
        return role

    return batch_app(
        settings.app_id(ROLE), settings, make, table_name=TABLE, timing=timing, instruments=instruments
    )


__all__ = ["ROLE", "TABLE", "Followups", "followups_app"]

"""The role `experiments`: weights of adaptive experiments follow the outcomes of mature units."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from aiokafka.errors import KafkaError
from opentelemetry.metrics import Meter

from upshot.errors import ClickHouseUnavailable, KafkaUnavailable, QueryFailed
from upshot.experiments.changes import restated
from upshot.insights.experiments.population import population
from upshot.insights.experiments.registry import plan_of, since_start
from upshot.insights.experiments.written_rows import read_by
from upshot.insights.reader import Reader
from upshot.processors.experiments.decide import InForce, RegistryRecord, in_force, is_due, reallocated
from upshot.processors.experiments.reading import FOLLOWS, read_registry
from upshot.processors.ledger import read_up_to
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchApp, Effects, Output, RoleApp, Timing, batch_app

ROLE = "experiments"
#: The longest time between two looks at the registry.
_LOOK = timedelta(minutes=1)
_EVERY_DAY = timedelta(days=1)

log = logging.getLogger(__name__)


def present_instant() -> datetime:
    """Now."""
    return datetime.now(UTC)


class AllocationHandler:
    """Reads and writes `experiments`, for the experiments of its own partitions. Keeps no state.

    Each look reads the topic anew, so that a crash loses nothing. An allocation carries the offset of the
    record that it was made from; where a person's change came in between, the change is stated again.
    """

    def __init__(
        self, settings: Settings, reader: Reader, now: Callable[[], datetime] = present_instant
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._now = now
        self._topic = settings.topic("experiments")
        self._interval = settings.allocation_interval or _EVERY_DAY
        self._ours: frozenset[int] = frozenset()
        self._look_at: datetime | None = None
        #: Experiments whose weights stayed as they are, and when these are looked at again.
        self._unchanged: dict[str, datetime] = {}

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the role."""
        return [self._topic]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Look at once."""
        self._ours = frozenset(tp.partition for tp in tps if tp.topic == self._topic)
        self._look_at = None

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Others look after these experiments."""
        self._ours = frozenset()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """A changed record is looked at by the next tick."""
        self._look_at = None
        return Effects()

    async def tick(self) -> Effects:
        """Set weights that are due. Without Kafka or ClickHouse the weights stay, until the next look."""
        now = self._now()
        if not self._ours or (self._look_at is not None and now < self._look_at):
            return Effects()
        self._look_at = now + min(_LOOK, self._interval / 4)
        try:
            return Effects(outputs=await self._outputs(now))
        except (ClickHouseUnavailable, QueryFailed, KafkaUnavailable, KafkaError, TimeoutError) as error:
            log.warning("weights of adaptive experiments stay as they are, for now: %s", error)
            return Effects()

    async def flush(self) -> None:
        """Nothing: the runtime owns the outputs."""

    async def _outputs(self, now: datetime) -> list[Output]:
        known = in_force(await read_registry(self._settings, self._ours))
        outputs = [
            self._output(each.record, restated(each.record.experiment, now), follows=None)
            for each in known.values()
            if each.stray is not None
        ]
        due = {name: each.record for name, each in known.items() if self._is_due(each, now)}
        if not due:
            return outputs
        as_of = await read_up_to(self._settings, now, patience=0)
        changed = {name: await asyncio.to_thread(self._changed, one, as_of) for name, one in due.items()}
        # What people changed meanwhile counts: nothing is sent over it.
        fresh = in_force(await read_registry(self._settings, self._ours))
        for name, record in changed.items():
            if record is None:
                self._unchanged[name] = now + self._interval
            elif (latest := fresh.get(name)) is not None and latest == known[name]:
                outputs.append(self._output(due[name], record, follows=due[name].offset))
                log.info("%s: phase %s, %s", name, record.phase, record.reason)
        return outputs

    def _is_due(self, known: InForce, now: datetime) -> bool:
        record = known.record.experiment
        again = self._unchanged.get(record.experiment)
        if known.stray is not None or (again is not None and now < again):
            return False
        return is_due(record, now, self._interval)

    def _changed(self, known: RegistryRecord, as_of: datetime) -> Experiment | None:
        plan = since_start(self._reader, plan_of(known.experiment), as_of)
        metric = plan.deciding
        if metric is None:
            return None
        seen = population(self._reader, plan, metric, read_by(self._reader, as_of))
        return reallocated(known.experiment, plan, seen, self._now())

    def _output(self, before: RegistryRecord, record: Experiment, *, follows: int | None) -> Output:
        headers = [] if follows is None else [(FOLLOWS, str(follows).encode())]
        value = record.model_dump_json(exclude_unset=True).encode()
        return Output(self._topic, before.partition, record.experiment.encode(), value, headers)


def experiments_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the role. Call `experiments_app` within a running event loop."""
    instruments = Instruments(ROLE, meter)
    handler = AllocationHandler(settings, Reader(settings))
    return batch_app(
        settings.app_id(ROLE), settings, lambda _: handler, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(experiments_app)


__all__ = ["ROLE", "AllocationHandler", "experiments_app", "role_app"]

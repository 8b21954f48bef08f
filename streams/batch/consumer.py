"""Faust's consumer, by batches: whole lists of records from aiokafka to the cycle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, ConsumerRebalanceListener
from mode import Service
from mode.threads import WorkerThread

from upshot.errors import KafkaUnavailable, UnitFailed
from upshot.streams.batch.cycle import Polled
from upshot.streams.batch.handler import TP
from upshot.streams.batch.logs import SERVICES
from upshot.streams.batch.membership import Membership
from upshot.streams.connection import client_options

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Per partition and fetch; Kafka returns a larger record too.
FETCH_BYTES = 2 * 1024 * 1024
#: A flush may wait for hours for ClickHouse; heartbeats go on beside it.
MAX_POLL_INTERVAL = 24 * 3600.0


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes that the broker has just confirmed this member."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._thread.membership.joined()
        await super().on_partitions_assigned(assigned)


class DaemonThread(WorkerThread):  # type: ignore[misc]
    """Does not keep a process alive whose stop has failed."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class BatchConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """aiokafka's consumer in Faust's thread for it, with our options."""

    logger = SERVICES
    Worker = DaemonThread
    membership: Membership

    async def on_start(self) -> None:
        await super().on_start()
        pace = self.app.pace
        self.membership = Membership(self._consumer._coordinator, pace.session_timeout)

    async def on_thread_stop(self) -> None:
        """Also without a broker: there aiokafka stumbles over a fetch that it has cancelled itself."""
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._consumer._client.close()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        conf, pace = self.app.conf, self.app.pace
        # Faust's assignor keeps a table's changelog with the partitions of its input.
        self._assignor = self.app.assignor if self.app.tables else RoundRobinPartitionAssignor
        return AIOKafkaConsumer(
            **client_options(self.app.settings),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=int(MAX_POLL_INTERVAL * 1000),
            max_partition_fetch_bytes=FETCH_BYTES,
            session_timeout_ms=int(pace.session_timeout * 1000),
            heartbeat_interval_ms=int(min(3.0, pace.session_timeout / 3) * 1000),
            rebalance_timeout_ms=int((2 * pace.rebalance_within + 10.0) * 1000),
        )

    @Service.task  # type: ignore[untyped-decorator]
    async def _look_for_broker(self) -> None:
        """Also hands on what the coordinator gave up for: stock looks for that only where it polls."""
        async for _ in self.itertimer(1.0, name="broker"):
            self.membership.look()
            try:
                self._ensure_consumer()._coordinator.check_errors()
            except KafkaError as error:
                failure = UnitFailed(f"the broker refuses the group {self.app.conf.id}: {error!r}")
                asyncio.run_coroutine_threadsafe(self.app.crash(failure), self.parent_loop)
                return

    async def stop(self) -> None:
        """Also when it was never started, since its loop is made with it."""
        await super().stop()
        if self._thread is None:
            self.thread_loop.close()

    async def run_here(self, work: Coroutine[Any, Any, T]) -> T:
        """Run in this thread's loop, not through its queue of two, where one waiting call can block another."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.thread_loop))

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """To the log; stock prints a stack trace to stderr."""
        log.debug(msg.format(*fmt), exc_info=True)

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled:
        """Fetch records and, in the same breath, where each partition stands."""
        if not tps:
            await asyncio.sleep(timeout)
            return Polled({}, {})
        consumer = self._ensure_consumer()
        records = await consumer.getmany(
            *[TopicPartition(*tp) for tp in tps], timeout_ms=int(timeout * 1000), max_records=max_records
        )
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription else None
        states = {tp: assignment.state_value(tp) for tp in tps} if assignment else {}
        positions = {tp: state.position for tp, state in states.items() if state and state.has_valid_position}
        return Polled({TP(*tp): found for tp, found in records.items()}, positions)

    async def seek_to_start(self, tps: frozenset[TP]) -> dict[TP, int]:
        """Go to the committed offsets, or to the beginning, and return them. Nothing else is fetched."""
        consumer = self._ensure_consumer()
        wanted = {TopicPartition(*tp) for tp in tps}
        others = consumer.assignment() - wanted
        if others:
            consumer.pause(*others)
        committed = await consumer._coordinator.fetch_committed_offsets(list(wanted))
        fresh = []
        for tp in wanted:
            offset = committed[tp].offset if tp in committed else -1
            if offset >= 0:
                consumer.seek(tp, offset)
            else:
                fresh.append(tp)
        if fresh:
            await consumer.seek_to_beginning(*fresh)
        return {TP(*tp): await consumer.position(tp) for tp in wanted}

    async def commit_positions(self, positions: Mapping[TP, int], generation: int) -> bool:
        """Commit; False when the group has moved on. Retries as long as the coordinator can't be reached."""
        if self.membership.generation != generation:
            return False
        offsets = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in positions.items()}
        try:
            await self._ensure_consumer().commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.debug("not committed: %s", error)
            return False
        return True

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        ends = await self._ensure_consumer().end_offsets([TopicPartition(*tp) for tp in tps])
        return {TP(*tp): offset for tp, offset in ends.items()}


class BatchConsumer(Consumer):  # type: ignore[misc]
    """The source of the cycle. Nothing of Faust's path per record runs: no acks, no gaps, no own commits."""

    logger = SERVICES
    RebalanceListener = RebalanceListener

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Give the records to the cycle by lists; stock makes two tasks, an event and an ack of each."""
        try:
            await self.app.cycle.run()
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_handler(self) -> None:
        """The cycle commits; stock commits by a timer, also in the middle of a handler."""

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_livelock_detector(self) -> None:
        """It looks at the stock path, where nothing ever happens."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: what stock calls at stop or on errors must not commit past the cycle."""
        return False

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Finish and commit, or drop, what is in flight before the partitions go."""
        if not self.app.should_stop:
            await self.app.settle(self.app.pace.rebalance_within)
        await super().on_partitions_revoked(revoked)

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled:
        polled: Polled = await self._thread.run_here(self._thread.poll(tps, timeout, max_records))
        return polled

    async def commit_positions(self, positions: Mapping[TP, int], generation: int) -> bool:
        return bool(await self._patiently(self._thread.commit_positions(positions, generation)))

    async def is_member(self, generation: int, *, ask: bool = False) -> bool:
        membership = self._thread.membership
        if membership.is_fresh(generation) and not ask:
            return True
        return bool(await self._patiently(membership.confirm(generation)))

    async def seek_to_start(self, tps: frozenset[TP]) -> dict[TP, int]:
        positions: dict[TP, int] = await self._thread.run_here(self._thread.seek_to_start(tps))
        return positions

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        ends: dict[TP, int] = await self._patiently(self._thread.list_end_offsets(tps))
        return ends

    @property
    def generation(self) -> int:
        generation: int = self._thread.membership.generation
        return generation

    async def _patiently(self, work: Coroutine[Any, Any, T]) -> T:
        away = self.app.pace.broker_away
        try:
            async with asyncio.timeout(away) as limit:
                result: T = await self._thread.run_here(work)
                return result
        except TimeoutError:
            if not limit.expired():
                raise
            raise KafkaUnavailable(f"Kafka has not answered for {away:.0f} s") from None


__all__ = ["BatchConsumer", "BatchConsumerThread"]

"""Faust's consumer, by batches: whole lists of records from aiokafka to the processing loop."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, ConsumerRebalanceListener
from mode import Service
from mode.threads import WorkerThread

from upshot.errors import KafkaUnavailable, UnitFailed
from upshot.streams.events.handler import TP
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.logs import SERVICES
from upshot.streams.kafka.membership import Membership
from upshot.streams.kafka.open_transactions import OpenTransactions, Reach
from upshot.streams.runtime.positions import Positions, Start
from upshot.streams.runtime.source import Polled

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Per partition and fetch; Kafka returns a larger record too.
FETCH_BYTES = 2 * 1024 * 1024
#: A fetch that brings so much waits for no more.
ENOUGH_BYTES = 128 * 1024
#: A flush may wait for hours for ClickHouse; heartbeats go on beside it.
MAX_POLL_INTERVAL = 24 * 3600.0
#: Seconds between two looks at where the partitions end.
ENDS_EVERY = 5.0


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes the broker's fresh confirmation of this member,
    and holds fetches back until positions are taken.
    """

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Any:
        self._thread.positions.hold_back()
        return super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._thread.membership.joined()
        await super().on_partitions_assigned(assigned)


class DaemonThread(WorkerThread):  # type: ignore[misc]
    """Does not keep a process alive whose stop has failed."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class BatchConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """aiokafka's consumer in Faust's consumer thread, with our options."""

    logger = SERVICES
    Worker = DaemonThread
    membership: Membership
    positions: Positions

    async def on_start(self) -> None:
        await super().on_start()
        timing = self.app.pace
        self.positions = Positions(self.app, self._consumer)
        self.membership = Membership(self._consumer._coordinator, timing.session_timeout)
        self._transactions = OpenTransactions(timing.held_back)

    async def on_thread_stop(self) -> None:
        """Also without a broker: there aiokafka stumbles over a fetch cancelled by itself."""
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            await self._consumer._client.close()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        conf, timing = self.app.conf, self.app.pace
        return AIOKafkaConsumer(
            **client_options(self.app.settings),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=self.app.settings.worker_id or None,
            partition_assignment_strategy=[self.app.assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_interval_ms=int(MAX_POLL_INTERVAL * 1000),
            max_partition_fetch_bytes=FETCH_BYTES,
            # aiokafka asks a broker for the partitions whose records were taken, and for the others only once
            # it has answered: what comes to them meanwhile waits for so long.
            fetch_max_wait_ms=int(timing.gather * 1000),
            fetch_min_bytes=ENOUGH_BYTES,
            session_timeout_ms=int(timing.session_timeout * 1000),
            heartbeat_interval_ms=int(min(timing.heartbeat_interval, timing.session_timeout / 4) * 1000),
            rebalance_timeout_ms=int((2 * timing.rebalance_within + 12.0) * 1000),
        )

    @Service.task  # type: ignore[untyped-decorator]
    async def _look_for_broker(self) -> None:
        """Also hands on the coordinator's fatal error: stock looks for such errors only where stock polls."""
        async for _ in self.itertimer(1.0, name="broker"):
            self.app.engine_metrics.kafka_answers(self.membership.look())
            self._transactions.look(self._reaches(), monotonic())
            self.app.engine_metrics.held_since = self._transactions.held()
            self.app.engine_metrics.look()
            try:
                self._ensure_consumer()._coordinator.check_errors()
            except KafkaError as error:
                failure = UnitFailed(f"the broker refuses the group {self.app.conf.id}: {error!r}")
                asyncio.run_coroutine_threadsafe(self.app.crash(failure), self.parent_loop)
                return

    @Service.task  # type: ignore[untyped-decorator]
    async def _look_for_topics(self) -> None:
        """Looks up the existing topics now and then,
        and at once where a broker refuses a topic as another.
        """
        while not self.should_stop:
            await self.positions.look_at_topics()

    @Service.task  # type: ignore[untyped-decorator]
    async def _look_for_ends(self) -> None:
        """Where the partitions end: nothing is fetched while a handler waits, and the lag grows."""
        async for _ in self.itertimer(ENDS_EVERY, name="ends"):
            with suppress(KafkaError, TimeoutError):  # the next look may find them
                self.app.engine_metrics.ends.update(await self.list_end_offsets(self._states()))

    async def stop(self) -> None:
        """Also when never started, since the thread's loop is made with the thread."""
        await super().stop()
        if self._thread is None:
            self.thread_loop.close()

    async def run_here(self, work: Coroutine[Any, Any, T]) -> T:
        """Run in this thread's loop, not through its queue of two, where a waiting call can block another."""
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
        states = {tp: state for tp, state in self._states().items() if tp in tps}
        ends = {tp: state.highwater for tp, state in states.items() if state.highwater is not None}
        self.app.engine_metrics.ends.update(ends)
        positions = {tp: state.position for tp, state in states.items()}
        self.positions.reached(positions)
        return Polled({TP(*tp): found for tp, found in records.items()}, positions)

    def _states(self) -> dict[TP, Any]:
        """aiokafka's state of each assigned partition with a known position."""
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return {}
        states = {TP(*tp): assignment.state_value(tp) for tp in assignment.tps}
        return {tp: state for tp, state in states.items() if state.has_valid_position}

    def _reaches(self) -> dict[TP, Reach]:
        return {
            tp: Reach(state.position, state.lso, state.highwater)
            for tp, state in self._states().items()
            if state.lso is not None
        }

    async def seek_to_start(self, tps: frozenset[TP]) -> Start:
        """Go to the committed offsets, or to the beginning, and return them.

        A topic already gone has none.
        """
        return await self.positions.take(tps)

    async def commit_positions(
        self, positions: Mapping[TP, int], generation: int, notes: Mapping[TP, str]
    ) -> bool:
        """Commit; False when the group has moved on. Retries as long as the coordinator can't be reached."""
        if self.membership.generation != generation:
            return False
        return await self.positions.commit(positions, notes)

    async def leave(self) -> None:
        """Leave the group; also with a name of its own, where aiokafka would let the session end."""
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
            await self._consumer._coordinator.close()

    async def rejoin(self) -> None:
        """Have the group share out anew."""
        self._ensure_consumer()._coordinator.request_rejoin()

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the logs end, also behind records held back by an open transaction."""
        consumer = self._ensure_consumer()
        # It asks for the end at its own isolation level, which would be the last stable offset.
        fetcher = copy.copy(consumer._fetcher)
        fetcher._isolation_level = READ_UNCOMMITTED
        wanted = [TopicPartition(*tp) for tp in tps]
        while True:
            with suppress(KafkaTimeoutError):
                ends = await fetcher.end_offsets(wanted, consumer._request_timeout_ms)
                return {TP(*tp): offset for tp, offset in ends.items()}

    async def settled_ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """The same of partitions being read.

        Raises Unsettled where a topic isn't the topic of the positions.
        """
        return await self.positions.settled_ends(tps, self.list_end_offsets)


class BatchConsumer(Consumer):  # type: ignore[misc]
    """The source of the processing loop. Nothing of Faust's path per record runs: no acks, no gaps, no own
    commits.
    """

    logger = SERVICES
    RebalanceListener = RebalanceListener

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Give the records to the processing loop by lists; stock makes two tasks, an event and an ack of
        each.
        """
        try:
            await self.app.processing_loop.run()
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_handler(self) -> None:
        """The processing loop commits; stock commits by a timer, also in the middle of a handler."""

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_livelock_detector(self) -> None:
        """The stock detector looks at the stock path, where nothing ever happens."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: stock's calls at stop or on errors must not commit past the processing loop."""
        return False

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Finish and commit, or drop, work in flight before the partitions go."""
        if not self.app.should_stop:
            await self.app.settle(self.app.pace.rebalance_within)
        await super().on_partitions_revoked(revoked)

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled:
        polled: Polled = await self._thread.run_here(self._thread.poll(tps, timeout, max_records))
        return polled

    async def commit_positions(
        self, positions: Mapping[TP, int], generation: int, notes: Mapping[TP, str]
    ) -> bool:
        return bool(await self._patiently(self._thread.commit_positions(positions, generation, notes)))

    async def is_member(self, generation: int, *, ask: bool = False) -> bool:
        membership = self._thread.membership
        if membership.is_fresh(generation) and not ask:
            return True
        return bool(await self._patiently(membership.confirm(generation)))

    async def seek_to_start(self, tps: frozenset[TP]) -> Start:
        start: Start = await self._thread.run_here(self._thread.seek_to_start(tps))
        return start

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        ends: dict[TP, int] = await self._patiently(self._thread.list_end_offsets(tps))
        return ends

    async def settled_ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the logs of partitions being read end. Raises Unsettled, see BatchContext."""
        ends: dict[TP, int] = await self._patiently(self._thread.settled_ends(tps))
        return ends

    async def sign(self, text: str) -> None:
        """Give a sign of life beside the committed offsets."""
        await self._thread.run_here(self._thread.positions.sign(text))

    async def leave(self, within: float) -> None:
        """Leave the group, so the others take over at once; without a broker its session ends."""
        if self._thread._thread is None:
            return  # it was never started
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._thread.run_here(self._thread.leave())
        except asyncio.CancelledError:
            # Of the thread's work, where the group is lost already; nobody has cancelled this task.
            if cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise

    async def rejoin(self) -> None:
        """Have the group rebalance, with this member's present data."""
        await self._thread.run_here(self._thread.rejoin())

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

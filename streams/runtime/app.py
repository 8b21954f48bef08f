"""The Faust app of a batch handler, and how its parts are put together."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable

import faust
from aiokafka import AIOKafkaProducer
from faust.app.base import BootStrategy
from faust.transport.drivers.aiokafka import Producer, Transport

from upshot.errors import ConfigurationError, InvalidEvent, UnitFailed
from upshot.settings import Settings
from upshot.streams.events import dead_letters
from upshot.streams.events.effects import Output
from upshot.streams.events.handler import TP, BatchContext, BatchHandler, Refusing, TableView
from upshot.streams.events.records import Record
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.incarnations import Incarnations
from upshot.streams.kafka.logs import SERVICES
from upshot.streams.kafka.sender import BATCH_BYTES, BatchSender
from upshot.streams.kafka.topic_watch import TopicWatch
from upshot.streams.metrics.engine import EngineMetrics
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime.assignor import BatchAssignor
from upshot.streams.runtime.consumer import BatchConsumer
from upshot.streams.runtime.loop import ProcessingLoop
from upshot.streams.runtime.standby import StandbyReplicas
from upshot.streams.runtime.table import BatchTable, BatchTableManager, changelog_name
from upshot.streams.runtime.timing import Timing

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 16 * 1024 * 1024


class BatchProducer(Producer):  # type: ignore[misc]
    """Idempotent, acknowledged by all replicas, retried until the broker is back."""

    logger = SERVICES

    def _new_producer(self, transactional_id: str | None = None) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **client_options(self.app.settings),
            client_id=self.client_id,
            acks="all",
            request_timeout_ms=int(self.app.pace.request_timeout * 1000),
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
        )


class BatchTransport(Transport):  # type: ignore[misc]
    Consumer = BatchConsumer
    Producer = BatchProducer


class QuietBoot(BootStrategy):  # type: ignore[misc]
    """Kafka and the table; no web server, no sensors."""

    enable_web = False
    enable_sensors = False


class BatchApp(faust.App):  # type: ignore[misc]
    """Faust, with a batch per partition as the unit of work. Made by `batch_app`, run by `runner.run`."""

    BootStrategy = QuietBoot
    logger = SERVICES

    def __init__(
        self,
        app_id: str,
        settings: Settings,
        timing: Timing,
        table_name: str | None,
        instruments: Instruments,
    ) -> None:
        urls = [f"kafka://{host.strip()}" for host in settings.kafka_url.removeprefix("kafka://").split(",")]
        super().__init__(
            app_id,
            broker=urls,
            broker_client_id=app_id,
            # Workers tell each other apart by it.
            canonical_url=f"http://{uuid.uuid4().hex}",
            store="memory://",
            stream_recovery_delay=0.0,
            TableManager=BatchTableManager,
            PartitionAssignor=BatchAssignor,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
        )
        self.settings = settings
        self.pace = timing
        self.engine_metrics = EngineMetrics(instruments)
        self.in_worker = True
        self.finalize()
        self.standby_replicas = StandbyReplicas(self)
        #: Tells topics from those of their names before them; the runner reads it before the start.
        self.incarnations = Incarnations()
        self.table = self._declare_table(app_id, table_name) if table_name else None

    def _declare_table(self, app_id: str, name: str) -> BatchTable:
        changelog = self.topic(
            changelog_name(app_id, name), key_type=bytes, value_type=bytes, acks=False, allow_empty=True
        )
        table = BatchTable(
            self,
            name=name,
            key_type=bytes,
            value_type=bytes,
            changelog_topic=changelog,
            beacon=self.tables.beacon,
        )
        self.tables.add(table)
        return table

    def attach(self, handler: BatchHandler) -> None:
        """Give the app its handler, once, before the start."""
        self.handler = handler
        self.inputs = frozenset(handler.topics)
        self.watch = TopicWatch(self.inputs)
        self.engine_metrics.follow_topics(self.watch)
        for name in handler.topics:
            self.topics.add(self.topic(name, key_type=bytes, value_type=bytes))
        self.sender = BatchSender(
            lambda: self.producer._ensure_producer(), self.pace.broker_away, self.engine_metrics.written
        )
        self.processing_loop = ProcessingLoop(
            handler,
            lambda: self.consumer,
            self.sender,
            self.table,
            self.pace,
            self.settings.commit_interval,
            self.engine_metrics,
            self._poison_letter,
        )
        self.engine_metrics.follow(self.processing_loop.positions)
        if self.table is not None:
            self.engine_metrics.follow_table(self.table.size)

    def _poison_letter(self, record: Record, why: str) -> Output:
        if isinstance(self.handler, Refusing):
            self.handler.dead_letters["poison_record"] += 1
        return dead_letters.dead_letter(self.settings, record, InvalidEvent("poison_record", why))

    async def begin(self, epoch: int) -> None:
        """The table is recovered: go to the committed offsets and work, unless `epoch` is over."""
        consumer = self.consumer
        generation = consumer.generation
        tps = frozenset(TP(*tp) for tp in consumer.assignment() if tp.topic in self.inputs)
        self._check_changelog(tps)
        async with self.processing_loop.polling:
            start = await consumer.seek_to_start(tps)
        await self.processing_loop.open(epoch, generation, *start)
        log.info("%s works on %d partitions", self.conf.id, len(tps))

    def _check_changelog(self, tps: Iterable[TP]) -> None:
        if self.table is None:
            return
        for tp in tps:
            if tp.partition < self.assignor.units and tp.partition not in self.table.store.next_offset:
                raise UnitFailed(
                    f"{tp.topic}/{tp.partition} was assigned without its partition of the changelog "
                    f"{self.table.changelog_topic_name}"
                )

    async def on_first_start(self) -> None:
        """No folders: nothing is kept on disk."""

    async def on_stop(self) -> None:
        """Finish and commit work in flight, and leave the group,
        before Faust stops its services in sequence.
        """
        await self.settle(self.pace.stop_within)
        await self.consumer.leave(self.pace.stop_within)
        await self.standby_replicas.stop()
        await super().on_stop()

    async def settle(self, within: float) -> None:
        """Finish or drop work in flight; a failure ends the app, also where no caller would notice."""
        if await self.processing_loop.close(within) == "failed":
            await self.crash(self.processing_loop.failure)

    def _on_rebalance_when_stopped(self) -> None:
        """Nothing: stock closes the client from the wrong thread, and the stop itself closes the client
        anyway.
        """

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self)


class _Context:
    """The BatchContext of an app."""

    def __init__(self, app: BatchApp) -> None:
        self._app = app

    @property
    def table(self) -> TableView:
        if self._app.table is None:
            raise ConfigurationError(f"{self._app.conf.id} has no table: give batch_app a table_name")
        table: TableView = self._app.table
        return table

    async def end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        ends: dict[TP, int] = await self._app.consumer.settled_ends(tps)
        return ends

    def position(self, tp: TP) -> int:
        return self._app.processing_loop.position(tp)

    def assignment(self) -> frozenset[TP]:
        return self._app.processing_loop.assignment()

    async def flush_outputs(self) -> None:
        await self._app.sender.flush()

    async def partition_count(self, topic: str) -> int:
        if topic in self._app.inputs and self._app.watch.tells:
            return self._app.watch.count(topic)
        return await self._app.sender.partition_count(topic)

    def units(self) -> int:
        if self._app.table is None:
            raise ConfigurationError(f"{self._app.conf.id} has no table: give batch_app a table_name")
        units: int = self._app.assignor.units
        return units


def batch_app(
    app_id: str,
    settings: Settings,
    make_handler: Callable[[BatchContext], BatchHandler],
    *,
    table_name: str | None = None,
    timing: Timing | None = None,
    instruments: Instruments | None = None,
) -> BatchApp:
    """An app running `make_handler(context)` over the handler's topics.

    `app_id` is the consumer group; with `table_name` the app has a table, whose changelog is
    `<app_id>-<table_name>-changelog`. Measurements go to `instruments`. Must be called within a running event
    loop.
    """
    app = BatchApp(
        app_id,
        settings,
        timing or Timing(session_timeout=settings.session_timeout),
        table_name,
        instruments or Instruments(),
    )
    app.attach(make_handler(_Context(app)))
    return app


__all__ = ["BatchApp", "BatchProducer", "BatchTransport", "batch_app"]

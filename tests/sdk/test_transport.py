"""One suite for every transport: what passes in memory passes with Kafka."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from upshot.errors import KafkaUnavailable
from upshot.local.kafka import KafkaServer
from upshot.sdk.transport import ACKNOWLEDGED, DeliveryRefused, KafkaTransport, Transport
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.testing import MemoryTransport


class TransportContract:
    """What a transport does."""

    @pytest.fixture
    def transport(self) -> Transport:
        raise NotImplementedError

    @abstractmethod
    async def taken(self, transport: Transport) -> list[OutgoingEvent]:
        """All messages that it took, in no order between keys."""

    async def test_takes_messages_in_order_of_their_key(self, transport: Transport) -> None:
        messages = [OutgoingEvent("runs", f"r{n % 3}", b'{"n": %d}' % n) for n in range(30)]
        await transport.start()
        assert await transport.send(messages) == [ACKNOWLEDGED] * 30
        await transport.stop()
        taken = await self.taken(transport)
        for key in ("r0", "r1", "r2"):
            expected = [message for message in messages if message.key == key]
            assert [message for message in taken if message.key == key] == expected

    async def test_start_twice_is_start_once(self, transport: Transport) -> None:
        await transport.start()
        await transport.start()
        assert await transport.send([OutgoingEvent("scores", "r1", b"{}")]) == [ACKNOWLEDGED]
        await transport.stop()
        assert len(await self.taken(transport)) == 1

    async def test_nothing_is_sent_before_the_start_or_after_the_end(self, transport: Transport) -> None:
        with pytest.raises(KafkaUnavailable):
            await transport.send([OutgoingEvent("runs", "r1", b"{}")])
        await transport.start()
        await transport.stop()
        with pytest.raises(KafkaUnavailable):
            await transport.send([OutgoingEvent("runs", "r1", b"{}")])
        assert await self.taken(transport) == []

    async def test_goes_on_after_a_pause(self, transport: Transport) -> None:
        for n in range(2):
            await transport.start()
            await transport.send([OutgoingEvent("runs", "r1", b"%d" % n)])
            await transport.stop()
        assert [message.value for message in await self.taken(transport)] == [b"0", b"1"]

    async def test_one_that_is_never_taken_keeps_no_other_back(self, transport: Transport) -> None:
        large = OutgoingEvent("runs", "r1", b"x" * (TOPICS["runs"].max_bytes + 1))
        await transport.start()
        results = await transport.send(
            [OutgoingEvent("runs", "r1", b"1"), large, OutgoingEvent("runs", "r1", b"2")]
        )
        await transport.stop()
        assert [type(fate) for fate in results] == [type(ACKNOWLEDGED), DeliveryRefused, type(ACKNOWLEDGED)]
        assert [message.value for message in await self.taken(transport)] == [b"1", b"2"]

    async def test_stop_without_start(self, transport: Transport) -> None:
        await transport.stop()


class TestMemoryTransport(TransportContract):
    @pytest.fixture
    def transport(self) -> MemoryTransport:
        return MemoryTransport()

    async def taken(self, transport: Transport) -> list[OutgoingEvent]:
        assert isinstance(transport, MemoryTransport)
        return transport.messages

    async def test_away(self) -> None:
        transport = MemoryTransport()
        await transport.start()
        transport.available = False
        with pytest.raises(KafkaUnavailable):
            await transport.send([OutgoingEvent("runs", "r1", b"{}")])
        with pytest.raises(KafkaUnavailable):
            await transport.start()


@pytest.mark.stack
class TestKafkaTransport(TransportContract):
    @pytest.fixture
    async def settings(self, kafka: KafkaServer) -> Settings:
        settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"t{uuid4().hex[:8]}.", partitions=3)
        while await ensure_topics(settings):
            """Until every broker answer knows them."""
        return settings

    @pytest.fixture
    async def transport(self, settings: Settings) -> AsyncIterator[KafkaTransport]:  # type: ignore[override]
        self.settings = settings
        transport = KafkaTransport(settings)
        yield transport
        await transport.stop()

    async def taken(self, transport: Transport) -> list[OutgoingEvent]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_url, auto_offset_reset="earliest", enable_auto_commit=False
        )
        try:
            await consumer.start()
            tps = [TopicPartition(self.settings.topic(t), p) for t in ("runs", "scores") for p in range(3)]
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            found: list[OutgoingEvent] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    topic = tp.topic.removeprefix(self.settings.topic_prefix)
                    found += [OutgoingEvent(topic, record.key.decode(), record.value) for record in records]
            return found
        finally:
            await consumer.stop()

    async def test_without_topics_it_is_unavailable(self, kafka: KafkaServer) -> None:
        transport = KafkaTransport(Settings(kafka_url=kafka.bootstrap, topic_prefix="nobody-made-these."))
        with pytest.raises(KafkaUnavailable, match="start a worker"):
            await transport.start()
        await transport.stop()

    async def test_without_a_broker_it_is_unavailable(self) -> None:
        transport = KafkaTransport(Settings(kafka_url="127.0.0.1:1"))
        with pytest.raises(KafkaUnavailable):
            await transport.start()
        await transport.stop()

    def test_every_loop_has_a_connection_of_its_own(self, settings: Settings) -> None:
        self.settings = settings
        transport = KafkaTransport(settings)

        async def once() -> None:
            await transport.start()
            await transport.send([OutgoingEvent("runs", "r1", b"{}")])
            await transport.stop()

        with asyncio.Runner() as runner:
            runner.run(once())
        with asyncio.Runner() as runner:
            runner.run(once())
            assert len(runner.run(self.taken(transport))) == 2

"""All names of repositories and moved issues, remembered on the topic `names` by the web servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.connection import client_options, started
from upshot.webhooks.names import Named, Names

log = logging.getLogger(__name__)


class KnownNames(NamedTuple):
    """Other names of a webhook's repository, other places of its issue, and the names to be recorded."""

    others: Sequence[str]
    elsewhere: Sequence[str]
    records: list[OutgoingEvent]


class NameMemory:
    """Reads all of the topic before the first answer, then news before each: other servers write, too."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = Names()
        self._turn = asyncio.Lock()
        self._open = AsyncExitStack()
        self._consumer: AIOKafkaConsumer | None = None

    async def of(self, named: Named) -> KnownNames:
        """The other names of a webhook's object, and the names to be recorded with its outcomes.

        Raises KafkaUnavailable.
        """
        async with self._turn:
            try:
                await self._read_on()
            except KafkaError as error:
                await self._forget()
                raise KafkaUnavailable(f"Kafka gives no names ({error!r}): send all of it again") from None
            except BaseException:  # the request was given up: its half-read client isn't left behind
                await self._forget()
                raise
            # Names are learnt once read again: an unsent name isn't known.
            records = [_record(name, ident) for name, ident in self._names.news(named).items()]
            return KnownNames(self._names.others(named), self._names.elsewhere(named), records)

    async def close(self) -> None:
        """Let go of the connection."""
        async with self._turn:
            await self._forget()

    async def _forget(self) -> None:
        self._consumer, self._names = None, Names()
        await self._open.aclose()

    async def _read_on(self) -> None:
        consumer = self._consumer or await self._connected()
        [partition] = consumer.assignment()
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    self._learn(record)

    def _learn(self, record: Any) -> None:
        try:
            known = msgspec.json.decode(record.value or b"{}", type=dict[str, Any])
        except msgspec.DecodeError:
            return  # not ours: nobody else writes here
        if isinstance(known.get("name"), str) and isinstance(known.get("id"), str):
            self._names.learn(known["name"], known["id"])

    async def _connected(self) -> AIOKafkaConsumer:
        try:
            await ensure_topics(self._settings, [TOPICS["names"]])
        except ConfigurationError as refusal:
            log.error("names of repositories aren't remembered: %s", refusal)
            raise KafkaUnavailable(f"{refusal}; create it, and send all of it again") from None
        client = AIOKafkaConsumer(
            **client_options(self._settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        consumer = await self._open.enter_async_context(started(self._settings, client))
        partition = TopicPartition(self._settings.topic("names"), 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        self._consumer = consumer
        return consumer


def _record(name: str, ident: str) -> OutgoingEvent:
    return OutgoingEvent("names", name, msgspec.json.encode({"name": name, "id": ident}), (), name)


__all__ = ["KnownNames", "NameMemory"]

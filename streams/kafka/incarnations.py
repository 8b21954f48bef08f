"""Telling a topic from earlier topics of its name, in the identities made of a record's place.

A topic deleted and made again begins at offset 0, and so does every topic of a new cluster: topic, partition
and offset alone then name a second record like the first. So the topic's own id, which Kafka never gives
twice, is part of a place. The topics older than this rule are the exception, by their ids: stored facts about
them keep their names, also when read once more. These topics are written down once, in a topic of their own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.records import MADE_LENGTH
from upshot.streams.kafka.connection import client_options, start, started
from upshot.streams.kafka.topic_ids import Described, describe, text_of

#: Short name of the topic with a single record: the first one counts, for ever.
NAME = "topic-ids"
_CONFIG = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_PATIENCE = 30.0
#: What the groups of workers are called, behind what the prefix makes of it.
_WORKERS = re.compile(r"correlate|store|traces|evaluations|followups|sources-.*", re.DOTALL)
_CHANGELOGS = ("correlate-subjects-changelog", "followups-followups-changelog")


class _Noted(msgspec.Struct):
    """The ids, as Kafka's tools write them, of all topics older than ids as parts of places."""

    before: list[str]


class Incarnations:
    """Which topics' places go without an id: the topics with these ids."""

    def __init__(self, before: Iterable[str] = ()) -> None:
        self._before = frozenset(before)

    def of(self, ident: bytes | None) -> str:
        """The part of a place for the topic with this id; nothing where the id is unknown."""
        text = "" if ident is None else text_of(ident)
        return "" if text in self._before else text[:MADE_LENGTH]


async def remembered(settings: Settings, admin: AIOKafkaAdminClient) -> Incarnations:
    """The ids written down, or written now where missing: by the first process after an upgrade, or in a new
    cluster.

    Raises ConfigurationError where the broker refuses the topic for them, KafkaUnavailable where none
    answers.
    """
    # Before looking for what is written down: whoever wrote it meanwhile has made no topic before.
    found = await describe(admin._client, None)
    if found is None:
        return Incarnations()
    noted = await read(settings) if settings.topic(NAME) in found else None
    if noted is None:
        used = await _is_used(settings, admin, found)
        before = [
            text_of(topic.id) for name, topic in found.items() if topic.id and not name.startswith("__")
        ]
        await _write_down(settings, admin, _Noted(sorted(before) if used else []))
        noted = await read(settings)
    return noted or Incarnations()


async def _is_used(settings: Settings, admin: AIOKafkaAdminClient, found: Mapping[str, Described]) -> bool:
    """Whether workers have read these topics: an earlier version's, since ours write this down before they
    read.
    """
    ours = settings.app_id("")
    if any(
        _WORKERS.fullmatch(group, len(ours))
        for group, *_ in await admin.list_consumer_groups()
        if group.startswith(ours)
    ):
        return True
    changelogs = [ours + name for name in _CHANGELOGS if ours + name in found]
    tps = [TopicPartition(name, number) for name in changelogs for number in range(found[name].partitions)]
    if not tps:
        return False
    async with started(settings, AIOKafkaConsumer(**client_options(settings))) as consumer:
        return any((await consumer.end_offsets(tps)).values())


async def _write_down(settings: Settings, admin: AIOKafkaAdminClient, noted: _Noted) -> None:
    name = settings.topic(NAME)
    topic = NewTopic(name, 1, settings.replication_factor, topic_configs=_CONFIG)
    for _, code, *_ in (await admin.create_topics([topic])).topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise ConfigurationError(f"the broker refuses to create topic {name}: {for_code(code).__name__}")
    producer = AIOKafkaProducer(**client_options(settings), acks="all", max_request_size=16 * 1024 * 1024)
    try:
        await start(settings, producer)
        await producer.send_and_wait(name, msgspec.json.encode(noted), partition=0)
    except KafkaError as error:
        raise KafkaUnavailable(f"topic {name} can't be written: {error or type(error).__name__}") from None
    finally:
        await producer.stop()


async def read(settings: Settings) -> Incarnations | None:
    """The ids written down; None where nothing is. Raises KafkaUnavailable where no broker answers."""
    tp = TopicPartition(settings.topic(NAME), 0)
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False)
    try:
        await start(settings, consumer)
        found = await describe(consumer._client, [tp.topic])
        if not found:
            return None
        async with asyncio.timeout(_PATIENCE):
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            if (await consumer.end_offsets([tp]))[tp] <= await consumer.position(tp):
                return None
            record = await consumer.getone(tp)
        return Incarnations(msgspec.json.decode(record.value or b"", type=_Noted).before)
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnavailable(f"topic {tp.topic} can't be read: {error or type(error).__name__}") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"topic {tp.topic} begins with what nobody of ours wrote ({error}): delete it, and start again"
        ) from None
    finally:
        await consumer.stop()


__all__ = ["NAME", "Incarnations", "read", "remembered"]

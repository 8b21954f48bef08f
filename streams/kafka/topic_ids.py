"""Which topic a name stands for: a topic deleted and made again has another id."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from io import BytesIO
from typing import Any, ClassVar, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from upshot.errors import KafkaUnavailable

_NONE = bytes(16)


class TopicIdClient(Protocol):
    """The methods needed of aiokafka's client."""

    def get_random_node(self) -> Any: ...

    async def send(self, node: Any, request: Any) -> Any: ...


class Uuid(AbstractType):  # type: ignore[misc]
    """16 bytes as they are."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


_NAME = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("brokers", CompactArray(("id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), _TAGS)),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _NAME),
                ("id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _Request(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("id", Uuid), ("name", _NAME), _TAGS)),
        ("create", Boolean),
        ("operations", Boolean),
        _TAGS,
    )


class _Metadata(Request[_Request]):  # type: ignore[misc]
    """Metadata of topics, in the first version of the protocol taking names and giving ids."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: Iterable[str] | None) -> None:
        self._topics = topics

    def build(self, request_struct_class: Any) -> Any:
        wanted: Any = None if self._topics is None else [(_NONE, topic, {}) for topic in self._topics]
        return request_struct_class(wanted, False, False, {})


class Described(NamedTuple):
    """A topic as the brokers know the topic now; the id is None for a topic without an id (made before Kafka
    2.8, with ZooKeeper).
    """

    id: bytes | None
    partitions: int


async def describe(client: TopicIdClient, topics: Iterable[str] | None) -> dict[str, Described] | None:
    """The existing ones of `topics` (None: all), asked from a broker by `client`, aiokafka's own.

    None where the brokers are too old for ids. Raises KafkaUnavailable where a topic can't be described now,
    and KafkaError where no broker answers.
    """
    names = None if topics is None else sorted(topics)
    try:
        answer = await client.send(client.get_random_node(), _Metadata(names))
    except NotImplementedError:
        return None
    found = {}
    for error, name, ident, _, partitions, *_rest in answer.topics:
        if error and error != UnknownTopicOrPartitionError.errno:
            raise KafkaUnavailable(f"topic {name} can't be described: {for_code(error).__name__}")
        if not error:
            found[name] = Described(None if ident == _NONE else bytes(ident), len(partitions))
    return found


def text_of(ident: bytes) -> str:
    """A topic's id as Kafka's own tools write it: base64 for URLs, without padding."""
    return urlsafe_b64encode(ident).decode().rstrip("=")


async def topic_id(consumer: AIOKafkaConsumer, topic: str) -> bytes | None:
    """The id of a topic, 16 bytes; None where the brokers are too old to tell (before Kafka 3.1).

    Raises KafkaUnavailable where the topic can't be described now.
    """
    try:
        answer = await consumer._client.send(consumer._client.get_random_node(), _Metadata([topic]))
    except NotImplementedError:
        return None
    ((error, _, found, *_rest),) = answer.topics
    if error:
        raise KafkaUnavailable(f"topic {topic} can't be described: {for_code(error).__name__}")
    return None if found == _NONE else bytes(found)


__all__ = ["Described", "TopicIdClient", "Uuid", "describe", "text_of", "topic_id"]

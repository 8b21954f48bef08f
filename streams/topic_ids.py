"""Which topic a name stands for: one that was deleted and made again has another id."""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import for_code
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


class _Uuid(AbstractType):  # type: ignore[misc]
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
                ("id", _Uuid),
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


class _Question(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", _NAME), _TAGS)),
        ("create", Boolean),
        ("operations", Boolean),
        _TAGS,
    )


class _Metadata(Request[_Question]):  # type: ignore[misc]
    """Metadata of one topic, in the first version of the protocol that can be asked by name and tells its id."""

    API_KEY: ClassVar[int] = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(_NONE, self._topic, {})], False, False, {})


async def topic_id(consumer: AIOKafkaConsumer, topic: str) -> bytes | None:
    """The id of a topic, 16 bytes; None where the brokers are too old to tell (before Kafka 3.0).

    Raises KafkaUnavailable where the topic can't be described now.
    """
    client = consumer._client
    try:
        answer = await client.send(client.get_random_node(), _Metadata(topic))
    except NotImplementedError:
        return None
    ((error, _, found, *_rest),) = answer.topics
    if error:
        raise KafkaUnavailable(f"topic {topic} can't be described: {for_code(error).__name__}")
    return None if found == _NONE else bytes(found)


__all__ = ["topic_id"]

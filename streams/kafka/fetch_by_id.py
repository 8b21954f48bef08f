"""Fetching by the ids of topics: a broker then refuses the fetch of a topic made again since.

aiokafka fetches by names, and a topic deleted and made again has the name of the old topic. From an offset of
the old topic aiokafka would go on in the new topic, and pass over the records before this offset there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from aiokafka.errors import OffsetOutOfRangeError, UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from upshot.streams.events.handler import TP
from upshot.streams.kafka.topic_ids import Uuid

#: UNKNOWN_TOPIC_ID and INCONSISTENT_TOPIC_ID, which aiokafka doesn't know.
_ANOTHER_TOPIC = frozenset({100, 103})
_OUT_OF_RANGE = OffsetOutOfRangeError.errno
#: The first version of the protocol that goes by ids (Kafka 3.1).
VERSION = 13
#: Of aiokafka's answers, that this one looks like.
_LIKE_VERSION = 11
_TAGS = ("tags", TaggedFields)


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 1
    API_VERSION = VERSION
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("error_code", Int16),
        ("session_id", Int32),
        (
            "topics",
            CompactArray(
                ("id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("highwater", Int64),
                        ("last_stable", Int64),
                        ("log_start", Int64),
                        ("aborted", CompactArray(("producer_id", Int64), ("first_offset", Int64), _TAGS)),
                        ("preferred_replica", Int32),
                        ("records", CompactBytes),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _Request(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 1
    API_VERSION = VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_ms", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("leader_epoch", Int32),
                        ("offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start", Int64),
                        ("max_bytes", Int32),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        ("forgotten", CompactArray(("id", Uuid), ("partitions", CompactArray(Int32)), _TAGS)),
        ("rack_id", CompactString("utf-8")),
        _TAGS,
    )


class _ById(Request[_Request]):  # type: ignore[misc]
    """A fetch as requested by aiokafka, by ids where the broker knows them."""

    API_KEY: ClassVar[int] = 1

    def __init__(self, by_name: FetchRequest, ids: Mapping[str, bytes]) -> None:
        self._by_name = by_name
        self._ids = ids

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        lowest, highest = versions.get(self.API_KEY, (0, 0))
        if lowest <= VERSION <= highest:
            return self.build(_Request)
        return self._by_name.prepare(versions)

    def build(self, request_struct_class: Any) -> Any:
        asked = self._by_name
        topics: Any = [
            (self._ids[topic], [(number, -1, at, -1, -1, most, {}) for number, at, most in partitions], {})
            for topic, partitions in asked.topics
            if topic in self._ids
        ]
        limits = (asked._max_wait_ms, asked._min_bytes, asked._max_bytes, asked._isolation_level)
        return request_struct_class(-1, *limits, 0, -1, topics, [], asked._rack_id, {})


class Answered(NamedTuple):
    """A broker's answer, as aiokafka reads answers."""

    topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]
    API_VERSION: int = _LIKE_VERSION


class Fetching:
    """Sends aiokafka's fetches on by id, or holds them back until the ids are known.

    `ids` are set by the code taking positions; None: no positions yet, and nothing is fetched. A topic
    without an id doesn't exist, and isn't fetched either. Brokers too old for ids are asked `by_name`.
    `doubt` receives the topics refused by a broker as not, or no more, these.
    """

    def __init__(self, doubt: Callable[[str], None] = lambda topic: None) -> None:
        self.ids: Mapping[str, bytes] | None = None
        self.by_name = False
        #: Partitions whose offset was not there, or not any more.
        self.out_of_range: set[TP] = set()
        self._doubt = doubt

    def asked(self, request: FetchRequest) -> Any:
        """The request to send instead; None: nothing yet."""
        if self.by_name:
            return request
        ids = self.ids or {}
        return _ById(request, ids) if any(topic in ids for topic, _ in request.topics) else None

    def answered(self, request: Any, answer: Any) -> Any:
        """The answer given to aiokafka instead."""
        if not isinstance(answer, _Answer):
            return answer
        names = {ident: topic for topic, ident in request._ids.items()}
        topics = []
        for ident, partitions, _ in answer.topics:
            topic = names[bytes(ident)]
            if any(code in _ANOTHER_TOPIC for _, code, *_ in partitions):
                self._doubt(topic)
            self.out_of_range |= {
                TP(topic, number) for number, code, *_ in partitions if code == _OUT_OF_RANGE
            }
            topics.append((topic, [_partition(*partition) for partition in partitions]))
        return Answered(topics)


def _partition(
    number: int,
    code: int,
    high: int,
    stable: int,
    start: int,
    aborted: Any,
    replica: int,
    records: Any,
    _: Any,
) -> tuple[Any, ...]:
    gone = [(producer, first) for producer, first, _ in aborted or ()]
    if code in _ANOTHER_TOPIC:
        code = UnknownTopicOrPartitionError.errno
    return number, code, high, stable, start, gone, replica, records or b""


__all__ = ["VERSION", "Answered", "Fetching"]

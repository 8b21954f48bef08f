"""Which producer holds records back by a transaction not ended yet, as known by the brokers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any, ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from aiokafka.structs import TopicPartition

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client

_TEXT, _TAGS = CompactString("utf-8"), ("tags", TaggedFields)


class _ProducersAnswer(Response):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error", _TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("id", Int64),
                                ("epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("first_offset", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _ProducersRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _ProducersAnswer
    SCHEMA = Schema(
        ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS
    )


class _TransactionsAnswer(Response):  # type: ignore[misc]
    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("error_code", Int16),
        ("unknown_states", CompactArray(_TEXT)),
        ("transactions", CompactArray(("name", _TEXT), ("producer_id", Int64), ("state", _TEXT), _TAGS)),
        _TAGS,
    )


class _TransactionsRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 66
    API_VERSION = 0
    RESPONSE_TYPE = _TransactionsAnswer
    SCHEMA = Schema(("states", CompactArray(_TEXT)), ("producers", CompactArray(Int64)), _TAGS)


class _TransactionAnswer(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("began_ms", Int64),
                ("producer_id", Int64),
                ("epoch", Int16),
                ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _TransactionRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _TransactionAnswer
    SCHEMA = Schema(("names", CompactArray(_TEXT)), _TAGS)


class _Requester(Request[RequestStruct]):  # type: ignore[misc]
    """A request in the only version known here."""

    API_KEY: ClassVar[int] = -1

    def __init__(self, request: type[RequestStruct], *fields: Any) -> None:
        self._request, self._fields = request, fields

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        lowest, _ = versions.get(self._request.API_KEY, (1, 0))
        if lowest > 0:
            raise NotImplementedError(f"the broker knows no request {self._request.API_KEY}")
        return self.build(self._request)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(*self._fields, {})


@dataclass
class OpenTransaction:
    """A transaction begun and not ended.

    `name` is the producer's transactional id, empty where we may not see the id; `began_at` seconds since
    1970; `ends_within` seconds from then on, when the broker ends the transaction by itself, None where the
    broker doesn't say.
    """

    producer_id: int
    epoch: int
    name: str = ""
    began_at: float = 0.0
    ends_within: float | None = None
    #: The offset of its first record, by partition.
    first: dict[TopicPartition, int] = field(default_factory=dict)

    def about_transactions(self, now: float) -> str:
        """The transaction's owner, how long the transaction is open and where it begins, for people."""
        whose = f"producer {self.name}" if self.name else "a producer"
        (tp, offset), *more = sorted(self.first.items())
        others = (
            f" and of {len(more)} other partitions"
            if len(more) > 1
            else " and of 1 other partition"
            if more
            else ""
        )
        left = "" if self.ends_within is None else f", the broker ends it after {self.ends_within:.0f} s"
        return (
            f"the transaction of {whose} (producer id {self.producer_id}) has been open for "
            f"{max(0.0, now - self.began_at):.0f} s{left}: what lies behind "
            f"{tp.topic}/{tp.partition}/{offset}{others} waits, and so do deadlines"
        )

    def to_do(self, servers: str) -> str:
        """How to end the transaction."""
        (tp, offset), *_ = sorted(self.first.items())
        again = f"start it again with the transactional id {self.name}, or " if self.name else ""
        return (
            f"let its producer commit or abort; where it's gone: {again}kafka-transactions.sh "
            f"--bootstrap-server {servers} abort --topic {tp.topic} --partition {tp.partition} "
            f"--start-offset {offset}"
        )


async def open_transactions(settings: Settings, tps: Iterable[TopicPartition]) -> list[OpenTransaction]:
    """The open transactions in these partitions, the oldest first. Raises KafkaUnavailable where no broker
    answers.

    Transactions unknown to old brokers, or hidden from this user, are left out: then there may be none.
    """
    wanted: dict[str, list[int]] = {}
    for tp in sorted(tps):
        wanted.setdefault(tp.topic, []).append(tp.partition)
    if not wanted:
        return []
    async with admin_client(settings) as admin:
        try:
            found = await _by_producer(admin, wanted)
            await _name(admin, found)
        except NotImplementedError:
            return []
        except KafkaError as error:
            raise KafkaUnavailable(f"{settings.kafka_url} can't tell about transactions: {error}") from None
    return sorted(found.values(), key=lambda one: one.began_at)


async def _by_producer(
    admin: AIOKafkaAdminClient, wanted: Mapping[str, list[int]]
) -> dict[int, OpenTransaction]:
    found: dict[int, OpenTransaction] = {}
    request = _Requester(_ProducersRequest, [(topic, numbers, {}) for topic, numbers in wanted.items()])
    for answer in await _everybody(admin, request):
        for topic, partitions, _ in answer.topics:
            # Brokers that don't lead a partition say so.
            for number, error, _, producers, _ in partitions:
                for ident, epoch, _, last_ms, _, first, _ in () if error else producers or ():
                    if first >= 0:
                        one = found.setdefault(ident, OpenTransaction(ident, epoch, began_at=last_ms / 1000))
                        one.first[TopicPartition(topic, number)] = first
    return found


async def _name(admin: AIOKafkaAdminClient, found: Mapping[int, OpenTransaction]) -> None:
    """Add the coordinators' knowledge."""
    if not found:
        return
    for answer in await _everybody(admin, _Requester(_TransactionsRequest, [], list(found))):
        for name, ident, *_ in answer.transactions or ():
            if ident in found:
                found[ident].name = name
    names = [one.name for one in found.values() if one.name]
    for answer in await _everybody(admin, _Requester(_TransactionRequest, names)) if names else ():
        for error, _, _, timeout_ms, began_ms, ident, *_ in answer.transactions:
            if not error and ident in found:
                found[ident].ends_within = timeout_ms / 1000
                if began_ms > 0:
                    found[ident].began_at = began_ms / 1000


async def _everybody(admin: AIOKafkaAdminClient, request: _Requester) -> list[Any]:
    return [
        await admin._send_request_to_node(broker.nodeId, request)
        for broker in admin._client.cluster.brokers()
    ]


def oldest(found: Iterable[OpenTransaction], now: float | None = None) -> float:
    """For how long the longest open transaction has been open, in seconds; 0 where there is none."""
    at = time() if now is None else now
    return max((at - one.began_at for one in found), default=0.0)


__all__ = ["OpenTransaction", "oldest", "open_transactions"]

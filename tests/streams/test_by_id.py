"""Fetches by the ids of topics, and what aiokafka is told of the answers."""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.fetch import FetchRequest

from upshot.streams.kafka.fetch_by_id import VERSION, Answered, Fetching, _Answer
from upshot.streams.runtime import TP

A, B = b"a" * 16, b"b" * 16
REQUEST = FetchRequest(20, 1, 100, 1, [("a", [(0, 7, 10)]), ("b", [(1, 8, 10)])])
NEW, OLD = {1: (0, VERSION + 4)}, {1: (0, 11)}


def fetching(**ids: bytes) -> Fetching:
    doubted: list[str] = []
    made = Fetching(doubted.append)
    made.ids = ids
    made.doubted = doubted  # type: ignore[attr-defined]
    return made


def answer(*topics: tuple[bytes, int, int]) -> Any:
    """Of each topic one partition with an error, or none."""
    told = [
        (ident, [(number, code, 9, 9, 0, [(3, 4, {})], -1, None, {})], {}) for ident, number, code in topics
    ]
    return _Answer(0, 0, 0, told, {})


def test_nothing_is_fetched_before_somebody_has_said_where_to_begin() -> None:
    assert Fetching().asked(REQUEST) is None
    assert fetching().asked(REQUEST) is None, "no topic is there"


def test_topics_are_asked_by_id_and_those_that_are_gone_not_at_all() -> None:
    asked = fetching(a=A).asked(REQUEST).prepare(NEW)
    assert (asked.API_VERSION, [topic[0] for topic in asked.topics]) == (VERSION, [A])
    assert asked.topics[0][1] == [(0, -1, 7, -1, -1, 10, {})]
    assert type(asked).decode(asked.encode()).encode() == asked.encode()


def test_brokers_that_know_no_ids_are_asked_by_name() -> None:
    by_name = fetching(a=A, b=B)
    assert by_name.asked(REQUEST).prepare(OLD).API_VERSION == 11
    by_name.by_name = True
    assert by_name.asked(REQUEST) is REQUEST
    plain = object()
    assert by_name.answered(REQUEST, plain) is plain


def test_a_topic_that_is_another_one_is_told_as_unknown_and_doubted() -> None:
    both = fetching(a=A, b=B)
    found = both.answered(both.asked(REQUEST), answer((A, 0, 0), (B, 1, 100)))
    assert isinstance(found, Answered) and found.API_VERSION >= 11
    assert found.topics[0] == ("a", [(0, 0, 9, 9, 0, [(3, 4)], -1, b"")])
    assert found.topics[1][1][0][1] == 3
    assert both.doubted == ["b"]  # type: ignore[attr-defined]
    assert not both.out_of_range


def test_an_offset_that_is_not_there_is_noted() -> None:
    both = fetching(a=A, b=B)
    both.answered(both.asked(REQUEST), answer((A, 0, 1)))
    assert both.out_of_range == {TP("a", 0)}

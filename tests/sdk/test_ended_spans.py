"""The memory of ended spans: bounded, the latest first to stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from upshot.sdk import ended_spans
from upshot.sdk.ended_spans import EndedSpans


def test_the_latest_are_remembered_and_older_ones_known_as_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_spans, "REMEMBERED", 100)
    monkeypatch.setattr(ended_spans, "REMEMBERED_LOST", 200)
    ended: EndedSpans[str] = EndedSpans()
    for number in range(1000):
        ended.add(number, f"run {number}")
        assert len(ended) <= 110
        assert all(ended.run_of(late) == f"run {late}" for late in range(max(0, number - 99), number + 1))
    assert ended.run_of(0) is None and not ended.forgot(0)
    assert ended.run_of(850) is None and ended.forgot(850)
    assert not ended.forgot(999)


def test_lost_spans_below_lost_spans_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_spans, "REMEMBERED_LOST", 200)
    ended: EndedSpans[str] = EndedSpans()
    for span_id in range(1_000):
        ended.add_below_forgotten(span_id)
    assert ended.forgot(999) and not ended.forgot(700)


def test_threads_may_add_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_spans, "REMEMBERED", 50)
    ended: EndedSpans[int] = EndedSpans()

    def add(worker: int) -> None:
        for number in range(3000):
            ended.add(worker * 10_000 + number, worker)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert 50 <= len(ended) <= 55 + 4

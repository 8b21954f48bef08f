"""Copies of partitions on other workers.

Kept up to date, taken over, and warmed up before they are given away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Change, Effects
from upshot.streams.runtime import standby as standby_replicas
from upshot.streams.state import assignment as shares

pytestmark = pytest.mark.stack


def keeping(handler: Any) -> None:
    """State is the last value of each key."""

    async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
        effects = Effects()
        for tp, batch in batches.items():
            effects.changes[tp.partition] = {
                record.key: None if record.value is None else Change(record.value, None) for record in batch
            }
        return effects

    handler.on_process = process


def numbers(worker: Any) -> set[int]:
    return (
        {tp.partition for tp in worker.handler.context.assignment()}
        if worker.app.processing_loop.is_open
        else set()
    )


async def is_up_to_date(bench: Any, worker: Any, partitions: set[int]) -> bool:
    """Whether the worker's copies of others' partitions are at the ends of their changelogs."""
    ends = await bench.ends(worker.app.table.changelog_topic_name)
    positions = worker.app.table.store.positions()
    return set(worker.app.table.store.followed) == partitions and all(
        positions.get(partition) == ends[partition] for partition in partitions
    )


async def test_a_standby_takes_over_without_reading_the_changelog_again(bench: Any, until: Any) -> None:
    source, group = await bench.topic(partitions=4), bench.name("app")
    settings = bench.settings.model_copy(update={"standby_replicas": 1})
    async with bench.worker(group, [source], prepare=keeping, settings=settings) as first:
        await until(lambda: len(numbers(first)) == 4)
        async with bench.worker(group, [source], prepare=keeping, settings=settings) as second:
            await until(lambda: len(numbers(first)) == 2 and len(numbers(second)) == 2)
            others, mine = numbers(first), numbers(second)
            await bench.fill(source, [(n % 4, b"%d" % n, b"v") for n in range(4000)])
            await bench.fill(source, [(n % 4, b"%d" % n, None) for n in range(0, 4000, 40)])
            await until(lambda: first.processed + second.processed == 4100)
            await until(lambda: is_up_to_date(bench, second, others))
            await until(lambda: is_up_to_date(bench, first, mine))
            read = second.app.engine_metrics.recovered
            await first.stops()
            await until(lambda: len(numbers(second)) == 4)
            assert second.app.engine_metrics.recovered == read
            kept = [second.app.table.size(partition) for partition in range(4)]
            assert kept == [900, 1000, 1000, 1000]
            await bench.fill(source, [(min(others), b"new", b"v")])
            await until(lambda: second.app.table.get(min(others), b"new") == b"v")


async def test_a_new_worker_is_given_nothing_before_it_has_read_it(
    bench: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner goes on so long; then the new worker asks, and gets its half."""
    monkeypatch.setattr(shares, "TOLERABLE", 100)
    monkeypatch.setattr(standby_replicas, "TOLERABLE", 100)
    source, group = await bench.topic(partitions=2), bench.name("app")
    async with bench.worker(group, [source], prepare=keeping) as first:
        await bench.fill(source, [(n % 2, b"%d" % n, b"v") for n in range(4000)])
        await until(lambda: first.processed == 4000)
        async with bench.worker(group, [source], prepare=keeping) as second:
            await until(lambda: len(numbers(first)) == 1 and len(numbers(second)) == 1)
            given = [tps for event, tps in second.handler.events if event == "assigned"]
            assert [len(tps) for tps in given] == [0, 1]
            assert second.app.engine_metrics.recovered <= 100
            (mine,) = numbers(second)
            assert second.app.table.size(mine) == 2000
            assert second.app.table.store.followed == {}


async def test_a_copy_follows_what_is_written_late_too(bench: Any, until: Any) -> None:
    """A copy is what the changelog says, in its order: also what is put right in it."""
    source, group = await bench.topic(partitions=2), bench.name("app")
    settings = bench.settings.model_copy(update={"standby_replicas": 1})
    async with (
        bench.worker(group, [source], prepare=keeping, settings=settings) as first,
        bench.worker(group, [source], prepare=keeping, settings=settings) as second,
    ):
        await until(lambda: len(numbers(first)) == 1 and len(numbers(second)) == 1)
        (theirs,) = numbers(first)
        await bench.fill(source, [(theirs, b"a", b"ours")])
        await until(lambda: is_up_to_date(bench, second, {theirs}))
        await bench.fill(first.app.table.changelog_topic_name, [(theirs, b"late", None)])
        ends = await bench.ends(first.app.table.changelog_topic_name)
        await until(lambda: first.app.table.store.next_offset[theirs] > ends[theirs])
        await until(lambda: is_up_to_date(bench, second, {theirs}))
        copy = second.app.table.store.followed[theirs]
        assert list(copy.framed_items()) == list(first.app.table.store.partitions[theirs].framed_items())

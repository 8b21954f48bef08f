"""A handler over real topics: state, outputs, commits, positions, ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from upshot.errors import ConfigurationError
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Change, Effects, Output

pytestmark = pytest.mark.stack


def counting(handler: Any, out: str) -> Any:
    """Count the records of each key in the table; each new count is an output."""

    async def count(batches: Mapping[TP, Sequence[Record]]) -> Effects:
        effects = Effects()
        for tp, batch in batches.items():
            changes = effects.changes.setdefault(tp.partition, {})
            for record in batch:
                known = handler.context.table.get(tp.partition, record.key) or b"0"
                before = changes.get(record.key) or Change(known)
                changes[record.key] = Change(str(int(before.value) + 1).encode())
                effects.outputs.append(Output(out, None, record.key, changes[record.key].value))
        return effects

    handler.on_process = count


async def test_state_outputs_and_offsets(bench: Any, until: Any) -> None:
    source, out, group = await bench.topic(), await bench.topic("out"), bench.name("app")
    await bench.fill(source, [(n % 2, b"k%d" % (n % 10), b"") for n in range(1000)])
    async with bench.worker(group, [source], prepare=lambda h: counting(h, out)) as worker:
        await until(lambda: worker.processed == 1000)
        table = worker.handler.context.table
        expected = {b"k%d" % n: b"100" for n in range(10)}
        assert {key: table.get(n % 2, key) for n, key in enumerate(expected)} == expected
        # What goes over all of a table tells only what the changelog has acknowledged.
        await until(lambda: {**dict(table.items(0)), **dict(table.items(1))} == expected)
        assert table.size(0) + table.size(1) == 10
        assert table.get(0, b"missing") is None
    assert await bench.committed(group, source) == {0: 500, 1: 500}
    assert sorted((r.key, int(r.value)) for r in await bench.read(out)) == [
        (b"k%d" % k, n) for k in range(10) for n in range(1, 101)
    ]


async def test_state_and_position_survive_a_restart(bench: Any, until: Any) -> None:
    source, out, group = await bench.topic(), await bench.topic("out"), bench.name("app")
    for round_ in range(1, 4):
        await bench.fill(source, [(0, b"k", b""), (1, b"l", b"")])
        async with bench.worker(group, [source], prepare=lambda h: counting(h, out)) as worker:
            await until(lambda: worker.processed == 2 * round_)  # noqa: B023
            assert worker.handler.context.table.get(0, b"k") == str(round_).encode()
    assert [int(r.value) for r in await bench.read(out) if r.key == b"k"] == [1, 2, 3]


async def test_none_deletes_for_good(bench: Any, until: Any) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")

    def keep(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            records = [record for batch in batches.values() for record in batch]
            return Effects({0: {r.key: None if r.value is None else Change(r.value) for r in records}})

        handler.on_process = process

    await bench.fill(source, [(0, b"a", b"1"), (0, b"b", b"2"), (0, b"a", None)])
    async with bench.worker(group, [source], prepare=keep) as worker:
        await until(lambda: worker.processed == 3)
    async with bench.worker(group, [source], prepare=keep) as worker:
        await until(lambda: worker.handler.count("assigned"))
        assert dict(worker.handler.context.table.items(0)) == {b"b": b"2"}


async def test_outputs_keep_headers_timestamp_and_partition(bench: Any, until: Any) -> None:
    source, out, group = (
        await bench.topic(partitions=1),
        await bench.topic("out", 3, max_message_bytes="4000000"),
        bench.name("app"),
    )

    def send(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            return Effects(
                outputs=[
                    Output(out, 2, b"k", b"v", [("h", b"x")], 1_234_567),
                    Output(out, 1, None, b"no key"),
                    Output(out, None, None, b"anywhere"),
                    Output(out, 0, b"tombstone", None),
                    Output(out, None, b"large", b"x" * 3_000_000),
                ]
            )

        handler.on_process = process

    await bench.fill(source, [(0, None, b"go")])
    async with bench.worker(group, [source], table=None, prepare=send) as worker:
        await until(lambda: worker.processed == 1)
    found = {r.value[:8] if r.value else None: r for r in await bench.read(out)}
    first = found[b"v"]
    assert (first.partition, first.key, first.timestamp, list(first.headers)) == (
        2,
        b"k",
        1_234_567,
        [("h", b"x")],
    )
    assert found[b"no key"].partition == 1
    assert found[None].key == b"tombstone"
    assert len(found[b"xxxxxxxx"].value) == 3_000_000
    assert b"anywhere" in found


async def test_more_than_one_batch_per_partition_keeps_its_order(bench: Any, until: Any) -> None:
    source, out, group = await bench.topic(partitions=1), await bench.topic("out", 2), bench.name("app")

    def send(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            padding = b"." * 1000
            return Effects(
                {0: {b"%d" % n: Change(padding) for n in range(2000)}},
                [Output(out, n % 2, b"%d" % n, padding) for n in range(4000)],
            )

        handler.on_process = process

    await bench.fill(source, [(0, None, b"go")])
    async with bench.worker(group, [source], prepare=send) as worker:
        await until(lambda: worker.processed == 1)
    sent: dict[int, list[int]] = {0: [], 1: []}
    for record in await bench.read(out):
        sent[record.partition].append(int(record.key))
    assert sent == {0: list(range(0, 4000, 2)), 1: list(range(1, 4000, 2))}
    async with bench.worker(group, [source], prepare=send) as worker:
        await until(lambda: worker.handler.count("assigned"))
        assert worker.handler.context.table.size(0) == 2000


async def test_ticks_on_a_silent_topic_and_never_beside_process(bench: Any, until: Any) -> None:
    source, group = await bench.topic(), bench.name("app")
    inside: list[str] = []

    def watch(handler: Any) -> None:
        async def alone(what: str) -> Effects:
            inside.append(what)
            assert len(inside) == 1, inside
            await asyncio.sleep(0)
            inside.pop()
            return Effects()

        handler.on_tick = lambda: alone("tick")
        handler.on_process = lambda batches: alone("process")

    async with bench.worker(group, [source], prepare=watch) as worker:
        await until(lambda: worker.handler.ticks >= 5)
        await bench.fill(source, [(n % 2, None, b"") for n in range(500)])
        await until(lambda: len(worker.handler.records) == 500)
        seen = worker.handler.ticks
        await until(lambda: worker.handler.ticks >= seen + 3)


async def test_a_tick_changes_state_and_sends(bench: Any, until: Any) -> None:
    source, out, group = await bench.topic(partitions=1), await bench.topic("out"), bench.name("app")

    def once(handler: Any) -> None:
        async def tick() -> Effects:
            if handler.context.table.get(0, b"rang"):
                return Effects()
            return Effects({0: {b"rang": Change(b"yes")}}, [Output(out, None, b"k", b"ding")])

        handler.on_tick = tick

    async with bench.worker(group, [source], prepare=once) as worker:
        await until(lambda: worker.handler.ticks > 5)
    assert [r.value for r in await bench.read(out)] == [b"ding"]


async def test_position_and_end_offsets_tell_when_caught_up(bench: Any, until: Any) -> None:
    source, group = await bench.topic(), bench.name("app")
    tp = TP(source, 0)
    seen: list[tuple[int, int]] = []

    def look(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            if tp in batches:
                seen.append((handler.context.position(tp), batches[tp][0].offset))
            return Effects()

        handler.on_process = process

    await bench.fill(source, [(0, None, b"") for _ in range(100)])
    async with bench.worker(group, [source], prepare=look) as worker:
        context = worker.handler.context
        await until(lambda: len(worker.handler.records) == 100)
        await until(lambda: context.position(tp) == 100)
        assert await context.end_offsets([tp, TP(source, 1)]) == {tp: 100, TP(source, 1): 0}
        assert context.assignment() == {tp, TP(source, 1)}
        assert context.position(TP(source, 1)) == 0
        assert await context.partition_count(source) == 2
        with pytest.raises(KeyError):
            context.position(TP(source, 7))
    assert seen and all(position == first for position, first in seen)


async def test_position_passes_the_gaps_of_transactions(bench: Any, until: Any) -> None:
    """The last offsets of the partition are control records that nobody ever gets."""
    source, group = await bench.topic(partitions=1), bench.name("app")
    tp = TP(source, 0)
    async with bench.producer(transactional_id=bench.name("tx")) as producer:
        async with producer.transaction():
            await producer.send(source, value=b"kept", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(source, value=b"aborted", partition=0)
        await producer.abort_transaction()
    async with bench.worker(group, [source], prepare=lambda h: None) as worker:
        context = worker.handler.context
        await until(lambda: worker.handler.count("assigned"))
        end = (await context.end_offsets([tp]))[tp]
        await until(lambda: context.position(tp) == end)
    assert end > len(worker.handler.records)
    assert await bench.committed(group, source) == {0: end}


async def test_no_more_records_than_asked_for(bench: Any, until: Any, fast: Any) -> None:
    source, group = await bench.topic(), bench.name("app")
    await bench.fill(source, [(n % 2, None, b"%d" % n) for n in range(100)])
    timing = replace(fast, poll_records=7)
    async with bench.worker(group, [source], timing=timing) as worker:
        await until(lambda: len(worker.handler.records) == 100)
    sizes = [sum(map(len, what.values())) for name, what in worker.handler.events if name == "process"]
    assert max(sizes) == 7
    for partition in (0, 1):
        offsets = [r.offset for r in worker.handler.records if r.partition == partition]
        assert offsets == list(range(50))


async def test_without_a_table_none_can_be_changed(bench: Any, until: Any) -> None:
    source, group = await bench.topic(), bench.name("app")

    def change(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            return Effects({0: {b"k": b"v"}})

        handler.on_process = process

    await bench.fill(source, [(0, b"k", b"")])
    async with bench.worker(group, [source], table=None, prepare=change) as worker:
        with pytest.raises(ConfigurationError, match="without a table"):
            await worker.ends()
        worker.ended = asyncio.create_task(asyncio.sleep(0, 0))
    assert await bench.committed(group, source) == {0: None, 1: None}


async def test_leaves_no_files_but_its_table(
    bench: Any, until: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = await bench.topic()
    async with bench.worker(bench.name("app"), [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
    assert list(tmp_path.iterdir()) == [tmp_path / "tables"]

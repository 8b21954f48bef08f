"""Producers with transactions: what was aborted never comes, what is open is waited for."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from upshot.streams.kafka.open_transactions import OpenTransactions, Reach
from upshot.streams.runtime import TP

A = TP("a", 0)
HELD = Reach(position=5, stable=5, written=9)


@pytest.mark.stack
async def test_an_aborted_transaction_is_passed_over(bench: Any, until: Any) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    async with bench.producer(transactional_id=bench.name("tx")) as producer:
        for n in range(6):
            await producer.begin_transaction()
            await producer.send_and_wait(source, value=b"%d" % n, partition=0)
            await (producer.commit_transaction() if n % 2 else producer.abort_transaction())
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
        ends = await worker.handler.context.end_offsets([TP(source, 0)])
        assert ends == {TP(source, 0): 12}
        await until(lambda: worker.handler.context.position(TP(source, 0)) == 12)
        assert [record.value for record in worker.handler.records] == [b"1", b"3", b"5"]
    assert await bench.committed(group, source) == {0: 12}


@pytest.mark.stack
async def test_an_open_transaction_holds_back_all_behind_it(
    bench: Any, until: Any, fast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    tp, timing = TP(source, 0), replace(fast, held_back=0.5)
    async with (
        bench.producer(transactional_id=bench.name("tx")) as producer,
        bench.worker(group, [source], timing=timing) as worker,
    ):
        await bench.fill(source, [(0, None, b"before")])
        await producer.begin_transaction()
        await producer.send_and_wait(source, value=b"open", partition=0)
        await bench.fill(source, [(0, None, b"behind")])
        await until(lambda: f"held back 2 offsets of {source}/0" in caplog.text)
        context = worker.handler.context
        assert (context.position(tp), await context.end_offsets([tp])) == (1, {tp: 3})
        assert [record.value for record in worker.handler.records] == [b"before"]
        await producer.commit_transaction()
        await until(lambda: context.position(tp) == 4)
        assert [record.value for record in worker.handler.records] == [b"before", b"open", b"behind"]
        await until(lambda: f"the transaction on {source}/0 has ended" in caplog.text)


def test_what_lasts_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    open_transactions = OpenTransactions(patience=30)
    open_transactions.look({A: HELD}, now=100)
    open_transactions.look({A: HELD}, now=129)
    assert not caplog.messages
    for now in (130, 131, 200):
        open_transactions.look({A: HELD}, now)
    assert len(caplog.messages) == 1
    open_transactions.look({A: HELD._replace(stable=9)}, now=201)
    assert len(caplog.messages) == 2
    open_transactions.look({A: HELD}, now=202)
    open_transactions.look({A: HELD}, now=231)
    assert len(caplog.messages) == 2, "another transaction has its own time"


def test_what_is_not_yet_read_up_to_is_a_backlog(caplog: pytest.LogCaptureFixture) -> None:
    open_transactions = OpenTransactions(patience=0)
    open_transactions.look({A: HELD._replace(position=1)}, now=1)
    open_transactions.look({}, now=2)
    assert not caplog.messages

"""The metrics of the batch engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from upshot.streams.events.records import Record
from upshot.streams.metrics.engine import EngineMetrics
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, Effects


def test_lag_is_that_of_our_partitions() -> None:
    engine_metrics = EngineMetrics(Instruments())
    engine_metrics.follow(lambda: {TP("in", 0): 5, TP("in", 1): 9})
    engine_metrics.ends.update({TP("in", 0): 8, TP("in", 1): 7, TP("in", 2): 100})
    assert engine_metrics.lag() == {TP("in", 0): 3, TP("in", 1): 0}


@pytest.mark.stack
async def test_lag_grows_while_the_handler_waits(bench: Any, until: Any) -> None:
    topic = await bench.topic(partitions=1)
    await bench.fill(topic, [(0, b"k", b"first")])
    go_on = asyncio.Event()

    def prepare(handler: Any) -> None:
        async def wait(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            await go_on.wait()
            return Effects()

        handler.on_process = wait

    async with bench.worker(bench.name("waiting"), [topic], table=None, prepare=prepare) as worker:
        await until(lambda: worker.handler.count("process") == 1)
        await bench.fill(topic, [(0, b"k", b"more")] * 20)
        await until(lambda: worker.app.engine_metrics.lag() == {TP(topic, 0): 21})
        go_on.set()
        await until(lambda: worker.app.engine_metrics.lag() == {TP(topic, 0): 0})

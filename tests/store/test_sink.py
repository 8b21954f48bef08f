"""One suite for both sinks, and how the store gathers and commits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.store.conftest import NOON, PATIENCE, Store, alert, record, score, unpack, until
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.kinds import Pinned
from upshot.processors.store.migrate import migrate
from upshot.processors.store.packed import Row, pack_version
from upshot.processors.store.rows import row_of
from upshot.processors.store.sink import ClickHouseSink, MemorySink, Rejection, Sink
from upshot.settings import Settings
from upshot.streams.runtime import TP


def scored(name: str, value: bool | float | None, number: int, **changed: Any) -> bytes:
    """A row of `raw_scores`, decided so many milliseconds after noon."""
    event = {"run_id": f"r{number}", "name": name, "value": value}
    event |= {} if value is not None else {"reason": "expired", "score_id": "s"}
    row = row_of(
        "scores", record("scores", event, **{"offset": number, "timestamp": NOON + number} | changed)
    )
    assert isinstance(row, Row)
    return row.packed


class SinkContract:
    """What every sink promises."""

    sink: Sink

    def ids(self) -> list[str]:
        """The alerts that are kept, without an order."""
        raise NotImplementedError

    async def test_rows_are_there_once_written(self) -> None:
        assert await self.sink.write("raw_alerts", [alert(1), alert(2)]) == []
        assert self.ids() == ["a1", "a2"]

    async def test_nothing_is_nothing(self) -> None:
        assert await self.sink.write("raw_alerts", []) == []
        assert self.ids() == []

    async def test_rows_written_again_are_there_once(self) -> None:
        for _ in range(3):
            await self.sink.write("raw_alerts", [alert(1), alert(2)])
        assert self.ids() == ["a1", "a2"]

    @pytest.mark.parametrize("bad", [{0}, {6}, {2, 3}, {0, 1, 2, 3, 4, 5, 6}])
    async def test_what_cannot_be_stored_does_not_hold_up_the_rest(self, bad: set[int]) -> None:
        rows = [alert(number, raised_at="") if number in bad else alert(number) for number in range(7)]
        rejected = await self.sink.write("raw_alerts", rows)
        assert {rejection.number for rejection in rejected} == bad
        assert all(rejection.detail for rejection in rejected)
        assert self.ids() == [f"a{number}" for number in range(7) if number not in bad]

    async def test_the_first_score_of_a_name_says_what_it_is(self) -> None:
        assert await self.sink.mixed_kinds() == {}
        times = {"later": 3, "first": 2, "plain": 1, "expired": 0}
        for name, value, number in (
            ("helpful", True, times["later"]),
            ("helpful", 0.5, times["first"]),
            ("plain", 0.5, times["plain"]),
            ("plain", 0.7, times["plain"]),
            ("plain", None, times["expired"]),
        ):
            await self.sink.write("raw_scores", [scored(name, value, number)])
        first = Pinned("number", (NOON + times["first"]) * 1000, "r2")
        assert await self.sink.mixed_kinds() == {"helpful": first}

    async def test_of_scores_decided_at_once_the_one_written_first_is_the_first(self) -> None:
        await self.sink.write("raw_scores", [scored("helpful", True, 9, timestamp=NOON)])
        await self.sink.write("raw_scores", [scored("helpful", 0.5, 5, timestamp=NOON)])
        assert await self.sink.mixed_kinds() == {"helpful": Pinned("number", NOON * 1000, "r5")}

    async def test_closed_twice(self) -> None:
        await self.sink.write("raw_alerts", [alert(1)])
        await self.sink.close()
        await self.sink.close()


class TestMemorySink(SinkContract):
    @pytest.fixture(autouse=True)
    def _made(self) -> None:
        self.sink = self.memory = MemorySink(
            lambda table, row: "" if table != "raw_alerts" or row in map(alert, range(9)) else "no instant"
        )

    def ids(self) -> list[str]:
        return sorted(unpack(Row("raw_alerts", row))["alert_id"] for row in self.memory.rows("raw_alerts"))


@pytest.mark.stack
class TestClickHouseSink(SinkContract):
    @pytest.fixture(autouse=True)
    def _made(self, store: Store) -> None:
        self.sink, self.store = store.sink, store

    def ids(self) -> list[str]:
        return [
            identity for (identity,) in self.store.values("SELECT alert_id FROM alerts ORDER BY alert_id")
        ]

    @pytest.mark.parametrize(
        "broken",
        [
            alert(2, alert_id=5),
            alert(2, name=None),
            alert(2, revision="1"),
            alert(2, value=1),
            alert(2, raised_at=0.5),
            alert(2, message=["no text"]),
            alert(2)[:-1],
            alert(2)[:-17] + b"\xc4\x0f" + bytes(15),
        ],
    )
    async def test_whatever_is_wrong_with_a_row(self, broken: bytes) -> None:
        [rejection] = await self.sink.write("raw_alerts", [alert(1), broken, alert(3)])
        assert rejection.number == 1
        assert self.ids() == ["a1", "a3"]


@pytest.mark.stack
async def test_a_row_that_clickhouse_rejects_becomes_a_dead_letter(store: Store) -> None:
    """Validation keeps such rows out; were it to let one through, its record is kept all the same."""
    records = [score(1), score(2), score(3)]

    class Rejecting(ClickHouseSink):
        async def write(self, table: str, rows: Any) -> Any:
            rows = [row[:-1] if table == "raw_scores" and b"r2" in row else row for row in rows]
            return await super().write(table, rows)

    handler = StoreHandler(store.settings, Rejecting(store.settings))
    await handler.process({TP("upshot.scores", 0): records})
    await handler.flush()
    assert store.values("SELECT run_id FROM scores ORDER BY run_id") == [("r1",), ("r3",)]
    [letter] = store.ask("SELECT reason, topic, offset, payload FROM dead_letters")
    assert letter == {
        "reason": "invalid_value",
        "topic": "upshot.scores",
        "offset": 2,
        "payload": records[1].value.decode(),
    }
    assert (handler.counts["rejected"], handler.counts["rows"]) == (1, 3)


class Counting(MemorySink):
    """Notes each insert."""

    def __init__(self) -> None:
        super().__init__()
        self.inserts: list[tuple[str, int]] = []

    async def write(self, table: str, rows: Any) -> Any:
        self.inserts.append((table, len(rows)))
        return await super().write(table, rows)


async def test_rows_are_gathered_by_time_and_by_number() -> None:
    now = [0.0]
    sink = Counting()
    settings = Settings(store_rows=5, store_interval=1.0)
    handler = StoreHandler(settings, sink, lambda: now[0])
    tp = TP("upshot.scores", 0)
    await handler.process({tp: [score(1), score(2)]})
    now[0] = 0.9
    await handler.tick()
    assert sink.inserts == []
    now[0] = 1.0
    await handler.tick()
    await until(lambda: sink.inserts == [("raw_scores", 2)])
    await handler.tick()
    await handler.process({tp: [score(n) for n in range(5)]})
    await until(lambda: sink.inserts[1:] == [("raw_scores", 5)])
    await handler.process({tp: [score(9)], TP("upshot.runs", 0): [record("runs", {"run_id": "r"})]})
    await handler.flush()
    assert sink.inserts[2:] == [("raw_runs", 1), ("raw_scores", 1)]


class CrowdedWait(MemorySink):
    """Holds every insert until it's let go; `stuck` are those that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.held = asyncio.Event()
        self.stuck = 0

    async def write(self, table: str, rows: Any) -> Any:
        self.stuck += 1
        await self.held.wait()
        self.stuck -= 1
        return await super().write(table, rows)


async def test_the_next_block_is_gathered_while_one_is_inserted_and_then_waits() -> None:
    sink = CrowdedWait()
    handler = StoreHandler(Settings(store_rows=2, store_interval=0.001), sink, lambda: 0.0)
    tp = TP("upshot.scores", 0)
    await handler.process({tp: [score(1), score(2)]})
    await until(lambda: sink.stuck == 1)
    await handler.process({tp: [score(3)]})
    await handler.tick()
    third = asyncio.create_task(handler.process({tp: [score(4)]}))
    flush = asyncio.create_task(asyncio.wait_for(third, PATIENCE))
    await asyncio.sleep(0)
    assert (sink.stuck, third.done()) == (1, False)
    sink.held.set()
    await flush
    await handler.flush()
    assert len(sink.rows("raw_scores")) == 4


async def test_flush_returns_when_all_is_durable() -> None:
    sink = CrowdedWait()
    handler = StoreHandler(Settings(store_rows=1, store_interval=60), sink)
    await handler.process({TP("upshot.scores", 0): [score(1)]})
    flush = asyncio.create_task(handler.flush())
    await until(lambda: sink.stuck == 1)
    assert not flush.done()
    sink.held.set()
    await asyncio.wait_for(flush, PATIENCE)
    assert len(sink.rows("raw_scores")) == 1


async def test_what_is_durable_is_told_while_more_is_taken() -> None:
    sink, now = CrowdedWait(), [0.0]
    handler = StoreHandler(Settings(store_interval=1.0), sink, lambda: now[0])
    scores, runs = TP("upshot.scores", 0), TP("upshot.runs", 0)
    assert handler.durable() is None
    await handler.process({scores: [score(1), score(2)]})
    now[0] = 1.0
    await handler.tick()
    await until(lambda: sink.stuck == 1)
    await handler.process({scores: [score(3)], runs: [record("runs", {"run_id": "r"})]})
    assert handler.durable() == {}
    sink.held.set()
    await until(lambda: handler.durable() == {scores: score(2).offset + 1})
    now[0] = 2.0
    await handler.tick()
    await until(lambda: handler.durable() is None)
    assert (len(sink.rows("raw_scores")), len(sink.rows("raw_runs"))) == (3, 1)
    await handler.process({scores: [score(4)]})
    await handler.revoked(frozenset({scores, runs}))
    assert handler.durable() is None


async def test_nothing_is_durable_before_its_dead_letter_is() -> None:
    class Refusing(MemorySink):
        held = asyncio.Event()

        async def write(self, table: str, rows: Any) -> Any:
            if table == "raw_dead_letters":
                await self.held.wait()
            await super().write(table, rows)
            return [Rejection(0, "no")] if table == "raw_scores" else []

    sink = Refusing()
    handler = StoreHandler(Settings(store_rows=1, store_interval=60), sink)
    scores = TP("upshot.scores", 0)
    await handler.process({scores: [score(1)]})
    await until(lambda: handler.counts["rejected"] == 1)
    assert handler.durable() == {}
    sink.held.set()
    await until(lambda: handler.durable() is None)
    assert len(sink.rows("raw_dead_letters")) == 1


async def test_what_is_under_way_is_given_up_with_its_partitions() -> None:
    sink = CrowdedWait()
    handler = StoreHandler(Settings(store_rows=1, store_interval=60), sink)
    tp = TP("upshot.scores", 0)
    await handler.process({tp: [score(1)]})
    await until(lambda: sink.stuck == 1)
    await handler.revoked(frozenset({tp}))
    sink.held.set()
    await handler.flush()
    assert sink.rows("raw_scores") == []


async def test_long_texts_are_inserted_before_they_fill_the_memory() -> None:
    sink = Counting()
    handler = StoreHandler(Settings(store_interval=60), sink)
    for number in range(40):
        run = record("runs", {"run_id": f"r{number}", "output": "x" * 900_000})
        await handler.process({TP("upshot.runs", 0): [run]})
    await until(lambda: [count for _, count in sink.inserts] == [38])


async def test_what_was_gathered_is_forgotten_with_its_partitions() -> None:
    sink = Counting()
    handler = StoreHandler(Settings(store_interval=60), sink)
    await handler.process({TP("upshot.scores", 0): [score(1)]})
    await handler.revoked(frozenset({TP("upshot.scores", 0)}))
    await handler.flush()
    assert sink.inserts == []


async def test_what_was_cut_off_while_it_was_inserted_is_inserted_whole_again() -> None:
    class Stuck(MemorySink):
        stuck = True

        async def write(self, table: str, rows: Any) -> Any:
            if table == "raw_scores" and self.stuck:
                await asyncio.Event().wait()
            return await super().write(table, rows)

    sink = Stuck()
    handler = StoreHandler(Settings(store_interval=60), sink)
    await handler.process(
        {TP("upshot.runs", 0): [record("runs", {"run_id": "r"})], TP("upshot.scores", 0): [score(1)]}
    )
    flush = asyncio.create_task(handler.flush())
    await until(lambda: bool(sink.rows("raw_runs")))
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    sink.stuck = False
    await handler.flush()
    assert len(sink.rows("raw_scores")) == 1


@pytest.mark.stack
async def test_data_that_the_server_cannot_read_is_not_the_rows_fault(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a full disk: inserts fail with CANNOT_READ_ALL_DATA until it's mended."""
    store.client.command(
        "CREATE MATERIALIZED VIEW broken ENGINE = Null AS "
        "SELECT throwIf(alert_id != '', 'disk', toInt16(33)) AS x FROM raw_alerts "
        "SETTINGS allow_custom_error_code_in_throwif = 1"
    )
    written = asyncio.create_task(store.sink.write("raw_alerts", [alert(1), alert(2)]))
    await until(lambda: "takes no rows" in caplog.text or written.done())
    store.client.command("DROP VIEW broken SYNC")
    assert await asyncio.wait_for(written, PATIENCE) == []
    assert store.values("SELECT alert_id FROM alerts ORDER BY alert_id") == [("a1",), ("a2",)]


@pytest.mark.stack
async def test_a_missing_table_is_waited_for(empty: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """The worker may be up before the migrations are."""
    sink = ClickHouseSink(empty)
    write = asyncio.create_task(sink.write("raw_alerts", [alert(1)]))
    await until(lambda: "takes no rows" in caplog.text)
    await asyncio.to_thread(migrate, empty)
    assert await asyncio.wait_for(write, PATIENCE) == []
    await sink.close()


async def test_an_insert_that_waits_can_be_cancelled() -> None:
    sink = ClickHouseSink(Settings.model_validate({"clickhouse_url": "http://127.0.0.1:1/upshot"}))
    write = asyncio.create_task(sink.write("raw_alerts", [alert(1)]))
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write


def test_a_row_has_as_many_values_as_its_table_has_columns() -> None:
    with pytest.raises(TypeError, match="9 values are no row of raw_alerts"):
        pack_version("raw_alerts", (0,) * 9, 0)

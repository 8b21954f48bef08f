"""A score's name is a number or a boolean for good.

The first score says it, whoever stores it, in whatever order.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NOON, VIEWS, Store, Written, record
from tests.store.story import INSTANT, decided
from upshot.ops.doctor.clickhouse import examine_clickhouse
from upshot.ops.doctor.finding import Finding
from upshot.processors.store.connection import connect
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.migrate import migrate, migrations
from upshot.processors.store.sink import MemorySink
from upshot.settings import Settings
from upshot.streams.runtime import TP

pytestmark = pytest.mark.stack

CURRENT = "SELECT name, value, kind, revision FROM current_scores ORDER BY name, value"
CLASHES = "SELECT name, value, kind, pinned_kind, pinned_by FROM score_clashes ORDER BY name, value"


def said(name: str, value: bool | float, day: int, **changed: Any) -> Written:
    """A score that somebody gives on that day."""
    event = {"run_id": f"r{day}", "name": name, "value": value, "decided_at": INSTANT.format(day)}
    return record("scores", event | changed, offset=day)


async def test_the_first_kind_stays_and_the_other_is_a_dead_letter(store: Store) -> None:
    await store.take(said("helpful", 0.5, 1), said("other", True, 2))
    clash = said("helpful", True, 3)
    await store.take(clash, said("helpful", 0.7, 4))
    assert store.values(CURRENT) == [
        ("helpful", 0.5, "number", 1),
        ("helpful", 0.7, "number", 1),
        ("other", 1.0, "boolean", 1),
    ]
    assert store.values(CLASHES) == [("helpful", 1.0, "boolean", "number", "r1")]
    [letter] = store.ask("SELECT * FROM dead_letters")
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("kind_clash", "upshot.scores", 3)
    assert json.loads(letter["payload"]) == json.loads(clash.value or b"")
    assert letter["detail"] == (
        "helpful is a number since the score of run r1, decided at 2026-01-01T00:00:00+00:00; this one is a "
        "boolean: send 1.0 or 0.0, or give it a name of its own"
    )


async def test_scores_of_one_block_are_held_to_the_first_of_them(store: Store) -> None:
    """Sent at once and without a time: the first in the log counts."""
    for name, values in (("a", (0.5, True)), ("b", (True, 0.5))):
        await store.take(
            *(
                record("scores", {"run_id": "r", "name": name, "value": v, "key": str(v)}, offset=n)
                for n, v in enumerate(values)
            )
        )
    assert store.values(CURRENT) == [("a", 0.5, "number", 1), ("b", 1.0, "boolean", 1)]
    assert store.values("SELECT name FROM score_clashes ORDER BY name") == [("a",), ("b",)]


async def test_another_worker_holds_to_it_too(store: Store) -> None:
    other = Store(store.settings)
    await store.take(said("helpful", 0.5, 1))
    await other.take(said("helpful", True, 2))
    other.client.close()
    assert other.handler.dead_letters == {"kind_clash": 1}
    assert store.values(CURRENT) == [("helpful", 0.5, "number", 1)]


async def test_a_refused_revision_leaves_the_one_before(store: Store) -> None:
    await store.take(
        decided(1, True), decided(2, 0.5), said("helpful", 0.5, 1), said("helpful", 0.7, 2, run_id="r1")
    )
    await store.take(said("helpful", True, 3, run_id="r1"))
    assert store.values(CURRENT) == [("helpful", 0.7, "number", 2), ("merged", 1.0, "boolean", 1)]
    assert store.values("SELECT count() FROM score_clashes") == [(2,)]
    await store.take(decided(3, None, reason="reopened"))
    assert store.values(CURRENT) == [("helpful", 0.7, "number", 2)]
    await store.take(decided(4, False))
    assert store.values(CURRENT) == [("helpful", 0.7, "number", 2), ("merged", 0.0, "boolean", 4)]


async def test_what_has_no_value_says_nothing_of_the_kind(store: Store) -> None:
    await store.take(decided(1, None, reason="expired"))
    assert store.values("SELECT name FROM score_kinds") == []
    await store.take(decided(2, 0.5))
    assert store.values("SELECT name, kind, refused_kind, refused_at FROM score_kinds") == [
        ("merged", "number", "", None)
    ]


async def test_a_block_that_comes_again_is_refused_once(store: Store) -> None:
    log = [said("helpful", 0.5, 1), said("helpful", True, 2)]
    await store.take(*log)
    await store.take(*log, *log)
    assert store.values("SELECT count() FROM dead_letters") == [(1,)]
    assert store.values("SELECT count() FROM score_clashes") == [(1,)]


class Slow(MemorySink):
    """Tells the kinds when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def mixed_kinds(self) -> Any:
        self.asked.set()
        await self.go_on.wait()
        return await super().mixed_kinds()


async def test_a_block_that_was_cut_off_is_looked_at_again() -> None:
    sink = Slow()
    handler = StoreHandler(Settings(), sink)
    await handler.process({TP("upshot.scores", 0): [said("helpful", 0.5, 1), said("helpful", True, 2)]})
    flushing = asyncio.create_task(handler.flush())
    await sink.asked.wait()
    assert handler._insert is not None
    handler._insert.cancel()
    await asyncio.wait({flushing})
    sink.go_on.set()
    await handler.flush()
    assert len(sink.rows("raw_scores")) == 2
    assert len(sink.rows("raw_dead_letters")) == 1


def kinds_story() -> list[Written]:
    """Names of which both kinds come: given, decided, corrected, without a value, at one instant."""
    given: dict[str, Any] = {"run_id": "r1", "name": "helpful", "key": "k"}
    log = [
        *(
            record("scores", given | {"value": v, "decided_at": INSTANT.format(d)})
            for v, d in ((0.5, 2), (True, 1), (False, 4), (0.9, 3))
        ),
        *(record("scores", {"run_id": "r2", "name": "fast", "value": v}) for v in (1, True)),
        decided(1, True),
        decided(2, 0.5),
        decided(3, None, reason="reopened"),
        decided(4, 0.25),
        decided(1, 0.5, score_id="score-2", decided_at=INSTANT.format(1)),
        decided(2, None, score_id="score-2", reason="expired"),
        record("scores", {"run_id": "r1", "name": "merged", "score_id": "score-1", "value": 0.5}),
    ]
    return [
        record("scores", written.value, offset=n, timestamp=NOON + n // 2) for n, written in enumerate(log)
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_and_any_repetition_ends_the_same(store: Store, data: st.DataObject) -> None:
    """Dead letters tell what was refused when it came, which is another matter."""
    views = [view for view in VIEWS if view != "dead_letters"]
    log = kinds_story()
    store.clear()
    store.keep_parts()
    await store.take(*log)
    expected = store.everything(views)
    assert len(expected["score_kinds"]) == 3
    assert expected["current_scores"]
    assert expected["score_clashes"]
    store.clear()
    again = data.draw(st.lists(st.sampled_from(log), max_size=8))
    shuffled = data.draw(st.permutations(log + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        await store.take(*shuffled[start:end])
    assert store.everything(views) == expected


async def test_doctor_tells_which_names_have_both(store: Store) -> None:
    def finding() -> Finding:
        return next(found for found in examine_clickhouse(store.settings) if found.check == "score kinds")

    await store.take(said("helpful", 0.5, 1), said("other", True, 2))
    assert finding().state == "fine"
    await store.take(said("helpful", True, 3))
    assert finding().state == "notice"
    assert "helpful is a number since 2026-01-01" in finding().found
    assert "(run r1), a boolean came last at 2026-01-03" in finding().found


def test_scores_from_before_are_held_to_the_first_of_them_too(empty: Settings) -> None:
    migrate(empty, known=migrations()[:4])
    client = connect(empty)
    for number, (value, kind) in enumerate([(0.5, "number"), (1, "boolean"), (0.7, "number")]):
        client.command(
            "INSERT INTO raw_scores (score_id, fact_id, run_id, name, value, kind, reason, revision, "
            f"decided_at, precedence) VALUES ('s{number}', 'f', 'r{number}', 'helpful', {value}, '{kind}', "
            f"'outcome', 1, '2026-01-01 00:00:0{number}', 1)"
        )
    migrate(empty)
    assert client.query(CURRENT).result_rows == [("helpful", 0.5, "number", 1), ("helpful", 0.7, "number", 1)]
    assert client.query(CLASHES).result_rows == [("helpful", 1.0, "boolean", "number", "r0")]
    client.close()

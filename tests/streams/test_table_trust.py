"""A database that doesn't fit its changelog is set aside and rebuilt.

One that fits is only brought up to date.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from upshot.streams.runtime.recovery import TRUSTED_FOR, why_untrusted
from upshot.streams.state import Memory, PartitionTable, frame

COMPACTED = {"cleanup.policy": "compact"}
TRUE = {b"%d" % n: b"true" for n in range(50)}


class Place:
    """A worker's table over a changelog with `TRUE` in it; position 60."""

    def __init__(self, bench: Any, until: Any) -> None:
        self.bench, self.until = bench, until
        self.group = bench.name("app")
        self.changelog = f"{self.group}-state-changelog"

    async def make(self) -> None:
        self.source = await self.bench.topic(partitions=1)
        await self.bench.topic_named(self.changelog, 1, COMPACTED)
        await self.fill()
        assert await self.recovered() == TRUE

    async def fill(self, more: int = 10) -> None:
        again = [(0, b"0", frame(b"old", None))] * more
        await self.bench.fill(self.changelog, again + [(0, k, frame(v, 7)) for k, v in TRUE.items()])

    async def recovered(self) -> dict[bytes, bytes]:
        async with self.bench.worker(self.group, [self.source]) as worker:
            await self.until(lambda: worker.handler.count("assigned"))
            assert worker.app.table.nearest_due() == 7
            return dict(worker.handler.context.table.items(0))

    @property
    def database(self) -> Path:
        found: Path = self.bench.settings.tables / self.group / "state" / "0" / "0"
        return found

    def change(self, changes: dict[bytes, bytes | None], position: int | None) -> None:
        table = PartitionTable(self.database, Memory())
        table.apply(changes, position)
        table.close()


@pytest.fixture
async def place(bench: Any, until: Any) -> Place:
    place = Place(bench, until)
    await place.make()
    return place


async def lost_its_way(place: Place) -> None:
    place.change({b"wrong": frame(b"x", 1)}, None)


async def ran_ahead(place: Place) -> None:
    place.change({b"wrong": frame(b"x", 1)}, 61)


async def damaged(place: Place) -> None:
    (place.database / "CURRENT").write_text("")


async def replaced_by_a_file(place: Place) -> None:
    shutil.rmtree(place.database)
    place.database.write_text("")


async def the_changelog_was_made_again(place: Place) -> None:
    place.change({b"wrong": frame(b"x", 1)}, 60)
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bench.kafka.bootstrap)
    try:
        await admin.start()
        await admin.delete_topics([place.changelog])

        async def gone() -> bool:
            return place.changelog not in await admin.list_topics()

        await place.until(gone)
    finally:
        await admin.close()
    await place.bench.topic_named(place.changelog, 1, COMPACTED)
    await place.fill(more=40)


@pytest.mark.stack
@pytest.mark.parametrize(
    "damage",
    [lost_its_way, ran_ahead, damaged, replaced_by_a_file, the_changelog_was_made_again],
)
async def test_what_does_not_fit_is_set_aside(
    place: Place, damage: Callable[[Place], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    await damage(place)
    caplog.set_level(logging.WARNING, "upshot.streams.runtime.store")
    assert await place.recovered() == TRUE
    assert "set aside as" in caplog.text
    assert place.database.with_name("0.aside").exists()


@pytest.mark.stack
async def test_what_fits_is_not_read_again(place: Place) -> None:
    place.change({b"mark": frame(b"kept", None)}, 60)
    await place.bench.fill(place.changelog, [(0, b"0", frame(b"new", None))])
    assert await place.recovered() == TRUE | {b"mark": b"kept", b"0": b"new"}


@pytest.mark.stack
async def test_a_bulk_load_that_was_cut_off_begins_anew(place: Place) -> None:
    shutil.rmtree(place.database)
    table = PartitionTable(place.database, Memory())
    table.database.put(b"left over", frame(b"x", 1))
    table.close()
    assert await place.recovered() == TRUE
    assert not place.database.with_name("0.aside").exists()


def test_a_database_that_was_left_for_long_may_have_missed_a_deletion(tmp_path: Path) -> None:
    table = PartitionTable(tmp_path / "0", Memory())
    table.apply({}, 5)
    left = table.written_at
    assert why_untrusted(table, None, range(0, 9), left + TRUSTED_FOR - 1) is None
    assert "13 h ago" in str(why_untrusted(table, None, range(0, 9), left + 13 * 3600))
    assert why_untrusted(table, None, range(0, 6), left + 1000 * TRUSTED_FOR) is None, (
        "nothing was written since"
    )
    assert "stands at 5" in str(why_untrusted(table, None, range(6, 9), left))
    table.close()

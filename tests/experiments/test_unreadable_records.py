"""Records of the registry that this release can't read: nobody writes over them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from upshot.errors import ConfigurationError
from upshot.processors.experiments.decide import in_force
from upshot.processors.experiments.reading import usable
from upshot.registry.reader import RegistryReader
from upshot.registry.records import record_of, registered
from upshot.settings import Settings

OLD = {"experiment": "tone", "variants": {"plain": 1, "warm": 1}, "changed_at": "2026-05-01T00:00:00Z"}
NEWER = OLD | {"schema_version": 2, "variants": {"plain": 1, "warm": 3}}
OTHER = OLD | {"experiment": "length"}


class Written(NamedTuple):
    """A record of the registry's topic."""

    offset: int
    key: bytes
    value: bytes | None
    topic: str = "upshot.experiments"
    partition: int = 0
    timestamp: int = 1_780_000_000_000
    headers: tuple[tuple[str, bytes], ...] = ()


def written(*events: dict[str, Any] | None) -> list[Written]:
    """Events one after the other; None deletes the experiment `tone`."""
    return [
        Written(n, str((event or OLD)["experiment"]).encode(), json.dumps(event).encode() if event else None)
        for n, event in enumerate(events)
    ]


@pytest.mark.parametrize("last", [NEWER, OLD | {"variants": {}}, None], ids=["newer", "broken", "deleted"])
def test_an_allocation_leaves_alone_what_it_cannot_read(last: dict[str, Any] | None) -> None:
    assert set(in_force(usable(written(OLD, OTHER, last)))) == {"length"}
    assert set(in_force(usable(written(OLD, OTHER, last, OLD)))) == {"length", "tone"}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any] | None]]:
    """The events in a topic that a reader has read at once."""
    events: list[dict[str, Any] | None] = []

    def read(reader: RegistryReader) -> None:
        found = dict(reader._records)
        reader._learn(found, {"tp": written(*events)})
        reader._take(found)

    monkeypatch.setattr(RegistryReader, "start", read)
    monkeypatch.setattr(RegistryReader, "close", lambda reader: reader._loop.close())
    yield events


def test_a_change_of_a_newer_releases_record_is_refused(
    topic: list[dict[str, Any] | None], tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    topic += [OLD, OTHER, NEWER]
    for read in (record_of, registered):
        with pytest.raises(ConfigurationError, match=r"schema version 2 is not known.*nothing was changed"):
            read(settings, "tone")
    assert record_of(settings, "length").experiment == "length"
    assert set(registered(settings)) == {"length", "tone"}, "the list shows what was readable last"
    topic.append(OLD)
    assert record_of(settings, "tone").variants == {"plain": 1, "warm": 1}
    topic += [NEWER, None]
    assert registered(settings, "tone").keys() == {"length"}, "a deleted experiment may start anew"

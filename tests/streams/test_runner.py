"""How a worker's process is set up."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from upshot.streams.runtime.runner import COLLECT_AFTER, collect_seldom


class ProcessingLoop:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def seldom() -> Iterator[None]:
    before = gc.get_threshold()
    collect_seldom()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("seldom")
def test_what_exists_is_left_alone_and_cycles_still_go() -> None:
    assert gc.get_freeze_count() > 10_000, "modules and models"
    first = weakref.ref(ProcessingLoop())
    assert first() is not None
    for _ in range(COLLECT_AFTER[0]):
        ProcessingLoop()
    assert first() is None

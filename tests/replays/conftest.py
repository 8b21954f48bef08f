"""An app that keeps content, whose events are caught: what it says is the history of its replays, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import upshot
from upshot import App
from upshot.settings import Settings
from upshot.testing import Captured, FakeClock, capture


class Handle:
    """No model, no dataclass; its text has an address in it."""


class Diary(list[Any]):
    """What was really run, in order of its text: threads have none."""

    def took(self) -> list[Any]:
        """All of it; it's empty then."""
        found = sorted(self, key=str)
        self.clear()
        return found


class Ticking(FakeClock):
    """Moves on with each look, as time does: what began later has a later time."""

    def __call__(self) -> int:
        self.advance(timedelta(milliseconds=1))
        return super().__call__()


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App("support", version="1.2", capture_content=True, settings=Settings(data_dir=tmp_path))


@pytest.fixture
def sent(app: App) -> Iterator[Captured]:
    with capture(app, clock=Ticking()) as captured:
        yield captured


@pytest.fixture
def diary() -> Diary:
    return Diary()


def again(app: App, sent: Captured, step: str, **how: Any) -> upshot.replays.Replayed:
    """The first run, once more."""
    return upshot.replay(app, sent.runs[0]["run_id"], step, history=sent, **how)

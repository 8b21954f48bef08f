"""An app whose events are caught."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from upshot import App
from upshot.settings import Settings
from upshot.testing import Captured, FakeClock, capture


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App("support", version="1.2", settings=Settings(data_dir=tmp_path))


@pytest.fixture
def sent(app: App, clock: FakeClock) -> Iterator[Captured]:
    with capture(app, clock=clock) as captured:
        yield captured

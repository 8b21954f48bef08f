"""An app whose scorers are tried out."""

from __future__ import annotations

from pathlib import Path

import pytest

from upshot import App
from upshot.settings import Settings


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App("support", settings=Settings(data_dir=tmp_path))

"""Alerts on a real broker, and on the real engine."""

from __future__ import annotations

from tests.processors.conftest import bench
from tests.results.conftest import experiments_database, story
from tests.store.conftest import empty

__all__ = ["bench", "empty", "experiments_database", "story"]

"""The store as a Faust app."""

from __future__ import annotations

from dataclasses import replace

from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.batch import BatchApp, Pace, batch_app

ROLE = "store"


def store_app(settings: Settings, pace: Pace | None = None) -> BatchApp:
    """The Faust app of the store. The database must be migrated; call it within a running event loop."""
    pace = pace or Pace()
    pace = replace(pace, tick_interval=min(pace.tick_interval, settings.store_interval / 5))
    return batch_app(
        settings.app_id(ROLE),
        settings,
        lambda context: StoreHandler(settings, ClickHouseSink(settings)),
        pace=pace,
    )


__all__ = ["ROLE", "store_app"]

"""The store as a Faust app."""

from __future__ import annotations

from dataclasses import replace

from opentelemetry.metrics import Meter

from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.sink import ClickHouseSink
from upshot.processors.vitals import watch_store
from upshot.settings import Settings
from upshot.streams.batch import BatchApp, Pace, batch_app
from upshot.streams.instruments import Instruments
from upshot.traces.prices import price_table

ROLE = "store"


def store_app(settings: Settings, pace: Pace | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the store, measured on `meter`.

    The database must be migrated; call it within a running event loop.
    """
    pace = pace or Pace(session_timeout=settings.session_timeout)
    pace = replace(pace, tick_interval=min(pace.tick_interval, settings.store_interval / 5))
    instruments = Instruments(ROLE, meter)
    handler = StoreHandler(settings, ClickHouseSink(settings, instruments=instruments), prices=price_table())
    watch_store(instruments, handler)
    return batch_app(settings.app_id(ROLE), settings, lambda _: handler, pace=pace, instruments=instruments)


__all__ = ["ROLE", "store_app"]

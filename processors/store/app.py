"""The store as a Faust app."""

from __future__ import annotations

from dataclasses import replace

from opentelemetry.metrics import Meter

from upshot.otel.prices import price_table
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.metrics import watch_store
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import BatchApp, RoleApp, Timing, batch_app

ROLE = "store"


def store_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the store, measured on `meter`.

    The database must be migrated; call `store_app` within a running event loop.
    """
    timing = timing or Timing(session_timeout=settings.session_timeout)
    timing = replace(timing, tick_interval=min(timing.tick_interval, settings.store_interval / 5))
    instruments = Instruments(ROLE, meter)
    handler = StoreHandler(settings, ClickHouseSink(settings, instruments=instruments), prices=price_table())
    watch_store(instruments, handler)
    return batch_app(
        settings.app_id(ROLE), settings, lambda _: handler, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(store_app)


__all__ = ["ROLE", "role_app", "store_app"]

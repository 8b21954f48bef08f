"""The role as a Faust app."""

from __future__ import annotations

from opentelemetry.metrics import Meter

from upshot.processors.materialize.shards import MaterializeShards
from upshot.settings import Settings
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import BatchApp, BatchContext, RoleApp, Timing, batch_app

ROLE = "materialize"


def materialize_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the role, measured on `meter`. The database must be migrated."""
    instruments = Instruments(ROLE, meter)

    def handler(context: BatchContext) -> MaterializeShards:
        made = MaterializeShards(settings, context)
        instruments.watch_value("upshot.materialize.lag", made.lag)
        instruments.watch_value("upshot.materialize.runs", lambda: made.counts["runs"])
        instruments.watch_value("upshot.materialize.contended", lambda: made.counts["contended"])
        return made

    return batch_app(settings.app_id(ROLE), settings, handler, timing=timing, instruments=instruments)


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(materialize_app)


__all__ = ["ROLE", "materialize_app", "role_app"]

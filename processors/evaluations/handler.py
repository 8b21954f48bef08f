"""The role `evaluations`: each revision of a score goes out to an OpenTelemetry collector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.metrics import Meter
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from upshot.errors import InvalidEvent
from upshot.otel.collector import Collector
from upshot.otel.evaluations import record_of
from upshot.settings import Settings
from upshot.streams.events.records import Record, decode_score, recorded_at
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchApp, Effects, RoleApp, Timing, batch_app

ROLE = "evaluations"
#: Records of one request.
_MOST = 2_000


class Evaluations:
    """Reads `scores`. Offsets are committed once the collector has the events; a crash repeats some."""

    def __init__(self, settings: Settings, collector: Collector) -> None:
        self._settings = settings
        self._collector = collector
        self._gathered: list[LogRecord] = []

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the role."""
        return [self._settings.topic("scores")]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Start with nothing: scores gathered before are read again, or by another worker."""
        self._gathered = []

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Gathered scores are sent and committed, or read again."""
        self._gathered = []

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Gather the events; once there are many, send them."""
        for records in batches.values():
            for record in records:
                self._take(record)
        if len(self._gathered) >= _MOST:
            await self.flush()
        return Effects()

    async def tick(self) -> Effects:
        """Nothing."""
        return Effects()

    async def flush(self) -> None:
        """Send all gathered events. Waits as long as the collector is away."""
        while self._gathered:
            await self._collector.send(self._gathered[:_MOST])
            del self._gathered[:_MOST]

    def _take(self, record: Record) -> None:
        try:
            score = decode_score(record)
        except InvalidEvent:
            return  # the store keeps the record as a dead letter
        self._gathered.append(record_of(score, recorded_at(record)))


def evaluations_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the role. Raises ConfigurationError; call within a running event loop."""
    instruments = Instruments(ROLE, meter)
    handler = Evaluations(settings, Collector(settings))
    return batch_app(
        settings.app_id(ROLE), settings, lambda _: handler, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(evaluations_app)


__all__ = ["ROLE", "Evaluations", "evaluations_app", "role_app"]

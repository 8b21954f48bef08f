"""The role `traces`: spans on a Kafka topic, as the OpenTelemetry Collector's exporter writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opentelemetry.metrics import Meter

from upshot.errors import InvalidEvent
from upshot.otel import asked_for, price_table
from upshot.otel.events import MappedSpans, events_of, exposures_of_logs
from upshot.otel.logs import read_logs
from upshot.otel.misplaced import LOGS, Misplaced
from upshot.otel.otlp import read_request
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.records import Record
from upshot.streams.metrics.instruments import Instruments, watch_dead_letters
from upshot.streams.runtime import TP, BatchApp, Effects, Output, RoleApp, Timing, batch_app

ROLE = "traces"
TOPIC = "otlp"


class Traces:
    """Reads `otlp`; writes `steps`, `runs`, `exposures` and `dead-letters`. Keeps counts alone."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prices = price_table()
        self._asked = asked_for(settings.span_attributes.split(","))
        self.dead_letters: Counter[str] = Counter()

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the role."""
        return [self._settings.topic(TOPIC)]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Nothing: the role keeps no state."""

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Nothing: the role keeps no state."""

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Every record by itself; ids follow from the spans, so that a repetition gives the same events."""
        effects = Effects()
        for records in batches.values():
            for record in records:
                self._take(record, effects)
        return effects

    async def tick(self) -> Effects:
        """Nothing."""
        return Effects()

    async def flush(self) -> None:
        """Nothing: the runtime owns the outputs."""

    def _take(self, record: Record, effects: Effects) -> None:
        try:
            found = read_request(record.value or b"")
        except Misplaced as error:
            self._take_logs(record, error, effects)
            return
        except InvalidEvent as error:
            self._refuse(record, error, effects)
            return
        mapped = events_of(found, self._prices, with_content=self._settings.otlp_content, asked=self._asked)
        self._send(record, mapped, effects)
        if mapped.rejected:
            detail = f"spans were left out, {mapped.why}; the {len(found.spans)} others were taken"
            self._refuse(record, InvalidEvent("not_otlp", detail), effects)

    def _take_logs(self, record: Record, misplaced: Misplaced, effects: Effects) -> None:
        """Exposures of a request with logs; a dead letter where the request has none, or unreadable ones."""
        if misplaced.signal != LOGS:
            self._refuse(record, misplaced, effects)
            return
        try:
            mapped = exposures_of_logs(read_logs(record.value or b""))
        except InvalidEvent as error:
            self._refuse(record, error, effects)
            return
        self._send(record, mapped, effects)
        if not mapped.events:
            self._refuse(record, misplaced, effects)
        elif mapped.rejected > mapped.foreign:
            detail = f"log records were left out, {mapped.why}; the {len(mapped.events)} others were taken"
            self._refuse(record, InvalidEvent("not_otlp", detail), effects)

    def _send(self, record: Record, mapped: MappedSpans, effects: Effects) -> None:
        for event in mapped.events:
            effects.outputs.append(
                Output(
                    self._settings.topic(event.topic),
                    None,
                    event.key_bytes,
                    event.value,
                    timestamp_ms=record.timestamp,
                )
            )

    def _refuse(self, record: Record, error: InvalidEvent, effects: Effects) -> None:
        self.dead_letters[error.reason] += 1
        effects.outputs.append(dead_letter(self._settings, record, error))


def traces_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the role, measured on `meter`. Call `traces_app` within a running event loop."""
    instruments = Instruments(ROLE, meter)
    handler = Traces(settings)
    watch_dead_letters(instruments, handler.dead_letters)
    return batch_app(
        settings.app_id(ROLE), settings, lambda _: handler, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(traces_app)


__all__ = ["ROLE", "TOPIC", "Traces", "role_app", "traces_app"]

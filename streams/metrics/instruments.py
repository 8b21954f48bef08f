"""Measuring the metrics of `declared.py`, on an OpenTelemetry meter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, NoOpMeter, Observation

from upshot.schemas.dead_letters import REASONS
from upshot.streams.metrics.declared import METRICS
from upshot.streams.metrics.metric import Kind, Metric

#: What is measured now: a value, with the declared attributes in their order.
Measured = tuple[float, *tuple[str, ...]]


class Instruments:
    """The instruments of a role. Without a meter nothing is measured.

    Only declared metrics can be measured: another name, kind or number of attributes is an error of the
    program, raised where the instrument is made.
    """

    def __init__(self, role: str = "", meter: Meter | None = None) -> None:
        self._role = role
        self._meter = meter or NoOpMeter("upshot")

    def histogram(self, name: str) -> Sizes:
        """For sizes and durations."""
        metric = _declared(name, "histogram")
        instrument = self._meter.create_histogram(
            name, metric.unit, metric.meaning, explicit_bucket_boundaries_advisory=metric.buckets
        )
        return Sizes(instrument, metric.attributes, self._role)

    def watch(self, name: str, read: Callable[[], Iterable[Measured]]) -> None:
        """Call `read` whenever metrics are collected, which happens in another thread."""
        metric = METRICS[name]

        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(value, attributes_of(metric, values, self._role)) for value, *values in read()
            ]

        create = {
            "counter": self._meter.create_observable_counter,
            "gauge": self._meter.create_observable_gauge,
        }[metric.kind]
        create(name, [observe], metric.unit, metric.meaning)

    def watch_value(self, name: str, read: Callable[[], float | None]) -> None:
        """The same for a metric without attributes; None: there is nothing to tell."""
        self.watch(name, lambda: [] if (value := read()) is None else [(value,)])

    def watch_counts(self, name: str, counts: Mapping[str, int], known: Iterable[str] = ()) -> None:
        """The same for a metric counted by its only attribute. `counts` may grow while being read.

        The `known` values are emitted as 0 from the beginning: the first of a kind would else be no increase.
        """
        none = dict.fromkeys(known, 0)
        self.watch(name, lambda: [(count, key) for key, count in (none | dict(counts)).items()])


class Sizes:
    """Takes sizes down."""

    def __init__(self, instrument: Histogram, names: tuple[str, ...], role: str) -> None:
        self._instrument = instrument
        self._names = names
        self._role = role

    def record(self, size: float, *values: str) -> None:
        """A size, with the declared attributes in their order."""
        attributes = dict(zip(self._names, values, strict=True))
        self._instrument.record(size, {"role": self._role, **attributes})


def attributes_of(metric: Metric, values: Iterable[str], role: str) -> dict[str, str]:
    """A measurement's attributes."""
    return {"role": role, **dict(zip(metric.attributes, values, strict=True))}


def _declared(name: str, kind: Kind) -> Metric:
    metric = METRICS[name]
    if metric.kind != kind:
        raise TypeError(f"{name} is declared as a {metric.kind}, not a {kind}")
    return metric


def watch_dead_letters(instruments: Instruments, by_reason: Mapping[str, int]) -> None:
    """Measure a role's dead letters."""
    instruments.watch_counts("upshot.dead_letters", by_reason, REASONS)


__all__ = ["Instruments", "Measured", "Sizes", "watch_dead_letters"]

"""A metric: its name, its kind, and the sizes of its buckets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `counter`: only grows. `gauge`: how it stands now. `histogram`: how often which size occurred.
Kind = Literal["counter", "gauge", "histogram"]

#: Seconds, from what a healthy part takes to what makes people wait.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
#: Seconds, from an event that has just come to a backlog of days.
AGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)
#: Records or rows.
SIZES = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0)


@dataclass(frozen=True)
class Metric:
    """A metric. `when` is the condition for emitting the metric.

    Where empty, the metric is always emitted.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    when: str = ""

    @property
    def prometheus(self) -> str:
        """Its name on a page for Prometheus."""
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + suffix + ("_total" if self.kind == "counter" else "")


__all__ = ["AGES", "DURATIONS", "SIZES", "Kind", "Metric"]

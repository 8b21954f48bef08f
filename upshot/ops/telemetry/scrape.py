"""Reading a worker's metrics back from its page for Prometheus."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from upshot.errors import Unavailable
from upshot.streams.metrics.declared import METRICS

#: Seconds until a worker that says nothing counts as away.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Page:
    """A worker's metrics at one moment, asked for by their declared names."""

    url: str
    #: Seconds since 1970.
    at: float
    role: str
    _samples: Mapping[str, Sequence[Sample]]

    def value(self, name: str, **attributes: str) -> float | None:
        """The sum of all values with these attributes; None where nothing was emitted."""
        found = [
            sample.value
            for sample in self._samples.get(METRICS[name].prometheus, ())
            if attributes.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    def total(self, name: str) -> float:
        """The sum of all sizes recorded by a histogram."""
        return self._sum(METRICS[name].prometheus + "_sum")

    def count(self, name: str) -> float:
        """How many sizes a histogram took down."""
        return self._sum(METRICS[name].prometheus + "_count")

    def _sum(self, series: str) -> float:
        return sum(sample.value for sample in self._samples.get(series, ()))

    def by(self, name: str, attribute: str) -> dict[str, float]:
        """The values by a single attribute, summed over the others."""
        found: dict[str, float] = {}
        for sample in self._samples.get(METRICS[name].prometheus, ()):
            key = sample.labels[attribute]
            found[key] = found.get(key, 0.0) + sample.value
        return found

    def by_partition(self, name: str) -> dict[tuple[str, int], float]:
        """The values by topic and partition."""
        return {
            (sample.labels["topic"], int(sample.labels["partition"])): sample.value
            for sample in self._samples.get(METRICS[name].prometheus, ())
        }


def read_page(url: str) -> Page:
    """The page at `url`. Raises Unavailable where nobody answers, or something else than a worker."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE) as response:
            text = response.read().decode()
        return parse_page(url, text, time())
    except (OSError, ValueError) as error:
        raise Unavailable(f"no metrics at {url}: {error}") from error


def parse_page(url: str, text: str, at: float) -> Page:
    """The metrics of a page read from `url` at this instant. Raises ValueError for a page not of a worker."""
    families = text_string_to_metric_families(text)
    samples: dict[str, list[Sample]] = {}
    for family in families:
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    uptime = samples.get(METRICS["process.uptime"].prometheus)
    if not uptime:
        raise ValueError("what answers there is no worker of this release")
    return Page(url, at, uptime[0].labels["role"], samples)


__all__ = ["Page", "parse_page", "read_page"]

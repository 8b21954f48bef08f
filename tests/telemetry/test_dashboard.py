"""What dashboard and alerts ask Prometheus for is what real workers tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric as Family

from tests.telemetry.conftest import IN_TROUBLE
from upshot.streams.metrics.declared import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "dashboards" / "grafana" / "upshot-workers.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
#: Added by Prometheus, and a histogram's own.
OTHER_LABELS = {"instance", "job", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    """Title and PromQL of all that is asked for."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["name"], variable["definition"]
    for rule in RULES["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]


def series(expression: str) -> set[str]:
    """The names of time series in an expression."""
    return set(re.findall(r"\b(?:upshot|process)_[a-z_]+", expression))


def labels(expression: str) -> set[str]:
    """The labels that an expression groups by or selects with."""
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    selected = re.findall(r"[{,]\s*(\w+)\s*=", expression)
    return {label.strip() for labels in grouped for label in labels.split(",")} | set(selected)


@pytest.mark.stack
def test_every_series_is_told_by_a_real_worker(families: dict[str, dict[str, Family]]) -> None:
    told = {
        sample.name for role in families.values() for family in role.values() for sample in family.samples
    }
    told |= {METRICS[name].prometheus for name in IN_TROUBLE}
    for title, expression in expressions():
        assert series(expression), title
        assert series(expression) <= told, title


def test_labels_are_declared() -> None:
    of = {metric.prometheus: {a.replace(".", "_") for a in metric.attributes} for metric in METRICS.values()}
    for title, expression in expressions():
        known = {"role"} | OTHER_LABELS
        for name in series(expression):
            known |= of[re.sub("_(bucket|sum|count)$", "", name)]
        assert labels(expression) <= known, title


def test_every_metric_is_shown() -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", name)
        for _, expression in expressions()
        for name in series(expression)
    }
    assert {metric.prometheus for metric in METRICS.values()} - shown == {
        METRICS["upshot.ops.telemetry.failures"].prometheus
    }


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])

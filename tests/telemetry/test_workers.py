"""What real workers tell: all that is declared, nothing else, and the right numbers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import Metric as Family

from tests.telemetry.conftest import IN_TROUBLE, Eventually
from tests.upshot_process import WholeStack
from upshot.ops.telemetry.scrape import Page
from upshot.schemas.dead_letters import REASONS
from upshot.streams.metrics.declared import METRICS

pytestmark = pytest.mark.stack

DECLARED = {metric.prometheus.removesuffix("_total"): metric for metric in METRICS.values()}


def test_workers_tell_what_is_declared(families: dict[str, dict[str, Family]]) -> None:
    roles = ("correlate", "store", "alerts", "materialize")
    found = {name: family for role in roles for name, family in families[role].items()}
    assert found.keys() - {"target_info"} <= DECLARED.keys()
    assert {DECLARED[name].name for name in found if name in DECLARED} == METRICS.keys() - IN_TROUBLE
    assert all(METRICS[name].when for name in IN_TROUBLE)
    always = {name for name, metric in DECLARED.items() if not metric.when}
    assert {role: always - told.keys() for role, told in families.items() if always - told.keys()} == {}


def test_kinds_and_attributes_are_those_declared(families: dict[str, dict[str, Family]]) -> None:
    for told in families.values():
        for name, family in told.items():
            if metric := DECLARED.get(name):
                labels = {label for sample in family.samples for label in sample.labels}
                assert family.type == metric.kind, name
                assert labels - {"le"} == {"role", *(a.replace(".", "_") for a in metric.attributes)}, name
                assert family.documentation == metric.meaning


def test_the_numbers_are_right(stack: WholeStack, told: Mapping[str, Page], eventually: Eventually) -> None:
    join, store = told["correlate"], told["store"]
    assert (join.role, store.role) == ("correlate", "store")
    letters = store.by("upshot.dead_letters", "reason")
    assert letters.keys() == set(REASONS)
    assert letters["missing_field"] >= 1
    assert (store.value("upshot.store.rows", table="raw_waits") or 0) >= 2
    assert store.count("upshot.store.insert.size") == store.count("upshot.store.insert.duration") > 0
    assert store.total("upshot.store.insert.size") == store.value("upshot.store.rows")
    assert (join.value("upshot.clickhouse.away"), store.value("upshot.clickhouse.away")) == (None, 0)
    for role, page in (("correlate", join), ("store", store)):
        eventually(stack.ports[role], _has_read_all)
        assert page.value("upshot.kafka.away") == 0
        assert (page.value("process.memory.usage") or 0) > 10_000_000
        assert (page.value("upshot.consumer.records") or 0) >= 6


def _has_read_all(page: Page) -> bool:
    return sum(page.by_partition("upshot.consumer.lag").values()) == 0

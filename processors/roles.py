"""The roles of a worker, each declared once.

The command line, the local stack, the doctor, the docs and the tests read the roles from here. Importing this
module loads no role: `load` imports the code of one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from upshot.settings import Settings
from upshot.sources.loading import SourceApp, load_app

#: `always`: every system runs the role. `app`: only beside a user's app that has work for it.
#: `collector`: only where the settings name an OpenTelemetry collector. `receivers`: only where they name
#: receivers of alerts. `adaptive`: only where they have an interval of allocation.
Runs = Literal["always", "app", "collector", "receivers", "adaptive"]


@dataclass(frozen=True)
class Role:
    """One role: a consumer group of its own, run by any number of processes.

    `reads` and `writes` are short names of topics; `build` is `module:function`, a function of the settings
    and the user's app (`module:name` or None) that returns an `upshot.streams.runtime.RoleApp`.
    """

    name: str
    purpose: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    build: str
    runs: Runs = "always"
    #: Whether the role writes to ClickHouse, whose migrations are applied first.
    writes_rows: bool = False
    #: Whether several processes may share its partitions on one machine (`--processes`).
    shares_partitions: bool = False

    @property
    def needs_app(self) -> bool:
        """Whether the role runs a user's code."""
        return self.runs == "app"

    def load(self) -> Callable[[Settings, str | None], Any]:
        """The function behind `build`."""
        module, _, function = self.build.partition(":")
        found: Callable[[Settings, str | None], Any] = getattr(importlib.import_module(module), function)
        return found


_DECLARED = (
    Role(
        "correlate",
        "joins outcomes and waits",
        ("outcomes", "waits"),
        ("scores", "resumptions", "dead-letters"),
        "upshot.processors.correlate.handler:role_app",
        shares_partitions=True,
    ),
    Role(
        "store",
        "writes rows",
        (
            "runs",
            "steps",
            "outcomes",
            "waits",
            "exposures",
            "scores",
            "deferrals",
            "followups",
            "alerts",
            "alert-rules",
            "notices",
            "experiments",
            "dead-letters",
        ),
        ("dead-letters",),
        "upshot.processors.store.app:role_app",
        writes_rows=True,
    ),
    Role(
        "traces",
        "reads spans",
        ("otlp",),
        ("runs", "steps", "exposures", "dead-letters"),
        "upshot.processors.traces.handler:role_app",
    ),
    Role(
        "sources",
        "reads the topics of an app's sources",
        (),
        ("outcomes", "dead-letters"),
        "upshot.processors.sources.handler:role_app",
        runs="app",
    ),
    Role(
        "evaluations",
        "sends scores to a collector",
        ("scores",),
        (),
        "upshot.processors.evaluations.handler:role_app",
        runs="collector",
    ),
    Role(
        "followups",
        "runs an app's scorers",
        ("deferrals", "resumptions"),
        ("waits", "scores", "deferrals", "followups", "dead-letters"),
        "upshot.followups.worker:role_app",
        runs="app",
    ),
    Role(
        "alerts",
        "judges scores by the rules of alerts",
        ("scores",),
        ("alerts", "experiments"),
        "upshot.processors.alerts.handler:role_app",
    ),
    Role(
        "materialize",
        "writes rows for reading",
        ("runs",),
        (),
        "upshot.processors.materialize.app:role_app",
        writes_rows=True,
    ),
    Role(
        "notifications",
        "notifies receivers of alerts",
        ("alerts", "notice-requests"),
        ("notice-requests", "notices", "dead-letters"),
        "upshot.processors.notifications.app:role_app",
        runs="receivers",
    ),
    Role(
        "experiments",
        "sets the weights of adaptive experiments",
        ("experiments",),
        ("experiments",),
        "upshot.processors.experiments.handler:role_app",
        runs="adaptive",
    ),
)

#: All roles by name. The order is that of the metrics' ports on one machine, so new roles go to the end.
ROLES: Mapping[str, Role] = MappingProxyType({role.name: role for role in _DECLARED})
#: The roles that every system runs.
ALWAYS = tuple(role.name for role in _DECLARED if role.runs == "always")


def roles_of(settings: Settings) -> tuple[str, ...]:
    """The roles run by a system with these settings, without an app's roles."""
    wanted = {
        "collector": bool(settings.otlp_url),
        "receivers": settings.has_receivers,
        "adaptive": settings.allocation_interval is not None,
    }
    return (*ALWAYS, *(role.name for role in _DECLARED if wanted.get(role.runs, False)))


def roles_of_app(named: str | None) -> tuple[str, ...]:
    """The roles with work for the app `module:name`: sources that read topics, scorers. None: no role.

    Raises ConfigurationError where the app can't be loaded.
    """
    if named is None:
        return ()
    app = load_app(named)
    return tuple(name for name, has_work in _WORK_IN_AN_APP.items() if has_work(app))


def _has_topics(app: SourceApp) -> bool:
    return any(source.topic for source in app.sources)


def has_scorers(app: SourceApp) -> bool:
    """Whether an app has deferrable code."""
    return bool(getattr(app, "scorers", None))


_WORK_IN_AN_APP: Mapping[str, Callable[[SourceApp], bool]] = {
    "sources": _has_topics,
    "followups": has_scorers,
}

__all__ = ["ALWAYS", "ROLES", "Role", "has_scorers", "roles_of", "roles_of_app"]

"""How a role becomes a running app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from opentelemetry.metrics import Meter

from upshot.settings import Settings
from upshot.streams.runtime.app import BatchApp
from upshot.streams.runtime.timing import Timing

#: Makes a role's app, measured on a meter where there is one. Called within a running event loop.
MakeApp = Callable[[Settings, Timing | None, Meter | None], BatchApp]


class RoleApp(NamedTuple):
    """A role, ready to run: `inputs` are topics to be created by others, `close` ends all parts outliving the
    app.
    """

    make: MakeApp
    inputs: Sequence[str] = ()
    close: Callable[[], None] = lambda: None


__all__ = ["MakeApp", "RoleApp"]

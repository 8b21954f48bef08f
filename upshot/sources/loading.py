"""Loading a user's app by its name, such as `support.app:app`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from upshot.errors import ConfigurationError
from upshot.sources.source import Source


class SourceApp(Protocol):
    """The parts of an app read here: `upshot.App` has them all."""

    @property
    def name(self) -> str: ...
    @property
    def sources(self) -> Sequence[Source]: ...


def load_app(named: str) -> SourceApp:
    """The app `module:attribute`, looked for in the working directory first.

    Raises ConfigurationError with the reason; errors of the module itself go through.
    """
    module_name, _, attribute = named.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"--app {named}: write MODULE:NAME, such as support.app:app")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"--app {named}: {module_name} needs {error.name}, which is missing"
            ) from None
        raise ConfigurationError(f"--app {named}: there is no module {module_name} in {here}") from None
    app: SourceApp | None = getattr(module, attribute, None)
    if app is None or not isinstance(getattr(app, "name", None), str) or not hasattr(app, "sources"):
        raise ConfigurationError(f"--app {named}: {module_name} has no app called {attribute}")
    return app


def no_app(role: str) -> str:
    """The message for a role started without the needed app."""
    return f"the role {role} needs an app: --app MODULE:NAME, such as support.app:app"


__all__ = ["SourceApp", "load_app", "no_app"]

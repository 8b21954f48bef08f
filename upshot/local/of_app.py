"""What a user's app, as `module:name`, asks of a system: the roles that it needs, and its scorers."""

from __future__ import annotations

from typing import cast

from upshot.door.topics import topics_of
from upshot.errors import ConfigurationError
from upshot.followups.scorers import HasScorers
from upshot.local.roles import FOLLOWUPS, SOURCES
from upshot.sources.loading import SourceApp, load_app


def roles_of_app(named: str | None) -> tuple[str, ...]:
    """`sources` where the app's sources read topics, `followups` where it has scorers."""
    if named is None:
        return ()
    app = load_app(named)
    sources = (SOURCES,) if topics_of(app.sources) else ()
    return (*sources, *([FOLLOWUPS] if _has_scorers(app) else []))


def app_with_scorers(named: str) -> HasScorers:
    """Raises ConfigurationError where the app has none."""
    app = load_app(named)
    if not _has_scorers(app):
        raise ConfigurationError(f"the app {app.name} has no scorer (@app.scorer): there is nothing to run")
    return cast(HasScorers, app)


def _has_scorers(app: SourceApp) -> bool:
    return bool(getattr(app, "scorers", None))


__all__ = ["app_with_scorers", "roles_of_app"]

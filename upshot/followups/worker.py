"""The role `followups` with the scorers of a user's app."""

from __future__ import annotations

from typing import cast

from upshot.errors import ConfigurationError
from upshot.followups.crash_guard import CrashGuard
from upshot.followups.crash_journal import CrashJournal
from upshot.followups.executor import make_executor
from upshot.followups.scorers import HasScorers
from upshot.processors.followups.handler import ROLE, followups_app
from upshot.settings import Settings
from upshot.sources.loading import load_app, no_app
from upshot.streams.runtime import RoleApp


def app_with_scorers(named: str) -> HasScorers:
    """The app `module:name`. Raises ConfigurationError where the app has no scorer."""
    app = load_app(named)
    if not getattr(app, "scorers", None):
        raise ConfigurationError(f"the app {app.name} has no scorer (@app.scorer): there is nothing to run")
    return cast(HasScorers, app)


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, running the scorers of `app`. Raises ConfigurationError."""
    if app is None:
        raise ConfigurationError(no_app(ROLE))
    runner = make_executor(app_with_scorers(app), concurrency=settings.followup_concurrency)
    journal = CrashJournal(settings.tables / settings.app_id(ROLE) / "executions")
    executor = CrashGuard(runner, journal)
    return RoleApp(
        lambda settings, timing, meter: followups_app(settings, executor, timing, meter), close=executor.close
    )


__all__ = ["app_with_scorers", "role_app"]

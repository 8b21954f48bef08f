"""Upshot scores AI agents by what happened next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upshot.version import __version__

if TYPE_CHECKING:
    from upshot.insights.answers import query
    from upshot.replays import replay
    from upshot.sdk import (
        App,
        AttachedRun,
        Delivered,
        Event,
        Expected,
        Experiment,
        Followup,
        Run,
        Scorer,
        Step,
        Variant,
        attach,
        current_run,
        current_step,
        expect,
        in_thread,
    )

__all__ = [
    "App",
    "AttachedRun",
    "Delivered",
    "Event",
    "Expected",
    "Experiment",
    "Followup",
    "Run",
    "Scorer",
    "Step",
    "Variant",
    "__version__",
    "attach",
    "current_run",
    "current_step",
    "expect",
    "in_thread",
    "query",
    "replay",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import the SDK at its first use: a worker or a command needs none of the SDK."""
    if name == "replay":
        import upshot.replays

        return upshot.replays.replay
    if name == "query":
        import upshot.insights.answers

        return upshot.insights.answers.query
    if name in __all__:
        import upshot.sdk

        return getattr(upshot.sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The place of the code: the run and the step around the code. Both travel in OpenTelemetry's context.

The context follows `await`, new asyncio tasks and `asyncio.to_thread` by itself. Threads and executors of the
program's own start without the context: wrap their functions in `in_thread`.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakSet

from opentelemetry import context as otel
from opentelemetry.context import Context

from upshot.errors import Misuse

if TYPE_CHECKING:
    from upshot.sdk.app import App
    from upshot.sdk.attached import AttachedRun
    from upshot.sdk.replaying import Replaying
    from upshot.sdk.runs import Run
    from upshot.sdk.steps import Step

P = ParamSpec("P")
R = TypeVar("R")

_RUN = otel.create_key("upshot-run")
_STEP = otel.create_key("upshot-step")
_REPLAY = otel.create_key("upshot-replay")
_apps: WeakSet[App] = WeakSet()


def current_run() -> Run:
    """The innermost run around this code. Raises Misuse where there is none."""
    run = run_in(None)
    if run is None:
        raise Misuse(
            "there is no run here: call this from a function with @app.agent or inside `with "
            "app.run(name):`; code that runs in a thread of its own is wrapped as upshot.in_thread(function)"
        )
    return run


def current_step() -> Step:
    """The innermost step around this code. Raises Misuse where there is none."""
    step = step_in(None)
    if step is None:
        raise Misuse(
            "there is no step here: call this from a function with @app.step or inside `with "
            "run.step(name):`; for the run as a whole use upshot.current_run()"
        )
    return step


def attach(
    run_id: str | Mapping[str, str], *, traceparent: str | None = None, ends: bool = False
) -> AttachedRun:
    """Go on with a run begun elsewhere, in a `with`; see `App.attach`, for processes with several apps.

    Raises Misuse where this process has no app, or several.
    """
    apps = list(_apps)
    if len(apps) != 1:
        has = (
            "no app: make it first, upshot.App(name)"
            if not apps
            else f"{len(apps)} apps: write app.attach(run_id)"
        )
        raise Misuse(f"upshot.attach needs to know which app records the run, and this process has {has}")
    return apps[0].attach(run_id, traceparent=traceparent, ends=ends)


def remember(app: App) -> None:
    """An app of this process."""
    _apps.add(app)


def in_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; each call finds the run and the step of this place, whichever thread calls."""
    here = contextvars.copy_context()

    @functools.wraps(function)
    def elsewhere(*args: P.args, **kwargs: P.kwargs) -> R:
        # A copy for each call: several threads can't be inside one context at once.
        return here.copy().run(function, *args, **kwargs)

    return elsewhere


def run_in(context: Context | None) -> Run | None:
    """The run of a context; of the current context for None."""
    here = otel.get_current() if context is None else context
    run: Run | None = here.get(_RUN)  # type: ignore[assignment]
    return run


def step_in(context: Context | None) -> Step | None:
    """The step of a context; of the current context for None."""
    here = otel.get_current() if context is None else context
    step: Step | None = here.get(_STEP)  # type: ignore[assignment]
    return step


def replay_in(context: Context | None) -> Replaying | None:
    """The replay under way in a context; in the current context for None."""
    here = otel.get_current() if context is None else context
    replaying: Replaying | None = here.get(_REPLAY)  # type: ignore[assignment]
    return replaying


def with_replay(replaying: Replaying, context: Context) -> Context:
    """A context in which runs are made again, and which is inside no run."""
    return otel.set_value(
        _REPLAY, replaying, otel.set_value(_STEP, None, otel.set_value(_RUN, None, context))
    )


def with_run(run: Run, context: Context) -> Context:
    """A context inside a run, and not inside any step of it."""
    return otel.set_value(_STEP, None, otel.set_value(_RUN, run, context))


def with_step(step: Step, context: Context) -> Context:
    """A context inside a step."""
    return Context(context, **{_STEP: step})  # as `set_value`, which copies twice


__all__ = [
    "attach",
    "current_run",
    "current_step",
    "in_thread",
    "remember",
    "replay_in",
    "run_in",
    "step_in",
    "with_replay",
    "with_run",
    "with_step",
]

"""`upshot.replay`: a recorded run, executed again from a chosen step on."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from opentelemetry import context as otel

from upshot.errors import ReplayRefused
from upshot.insights.reader import Reader
from upshot.replays.comparison import ComparedScore, ComparedStep, ReplayTotals, compared, figures, scored
from upshot.replays.event_sink import ReplayEventSink
from upshot.replays.history import ClickHouseHistory, History, Story, story_of
from upshot.replays.player import Choice, Player, SideEffect
from upshot.replays.recorded import Recorded, find, recorded_of
from upshot.replays.values import call_of
from upshot.schemas.runs import Run
from upshot.sdk.app import App
from upshot.sdk.context import with_replay


@dataclass(frozen=True)
class Replayed:
    """A new run beside the repeated run.

    `run_id` is the new run's id, `result` the agent's result, `error` the exception raised by the agent.
    `withheld` are the events meant for other systems, such as outcomes and waits: the topic and the event.
    """

    run_id: str
    replayed_from: str
    replayed_step: str
    agent: str
    before: ReplayTotals
    after: ReplayTotals
    lines: Sequence[ComparedStep]
    scores: Sequence[ComparedScore]
    withheld: Sequence[tuple[str, dict[str, Any]]]
    notes: Sequence[str]
    result: Any = field(default=None, compare=False)
    error: Exception | None = field(default=None, compare=False)


def replay(
    app: App,
    run_id: str,
    from_step: str,
    *,
    side_effects: Choice | Callable[[SideEffect], Choice] = "refuse",
    record: bool = True,
    history: History | None = None,
    variants: Mapping[str, str] | None = None,
) -> Replayed:
    """Run a recorded run of `app` again: steps before `from_step` give their recorded results, the rest runs.

    `from_step` is a step's name (the first step of the name), `name#2`, or a step's id. The new run has an id
    of its own and the origin `replay`; its steps and scores are recorded unless `record` is False. A replay
    opens no waits, defers nothing and reports no outcomes. A step with side effects, about to be run, ends
    the replay, unless `side_effects` is `run`, or `recorded`: then the step gives its recorded result; a
    function is called for each such step. Experiments give the recorded variants, whatever the registry says
    now, and no exposure; `variants` asks for others, by experiment. `history` is the ClickHouse of the app's
    settings where absent.

    An exception raised by the agent is part of the result. Raises ReplayRefused where the run can't be
    executed again or the code leaves the recorded path before `from_step`, Unavailable. Async agents get an
    event loop of their own.
    """
    story = (history or ClickHouseHistory(Reader(app.settings))).read(run_id)
    top = recorded_of(story)
    point = find(top, from_step)
    function = _agent_of(app, story.run)
    args, kwargs = call_of(function, story.run.input, f"run {run_id}")
    given = {**story.variants, **(variants or {})}
    event_sink = ReplayEventSink(app.delivery if record else None)
    player = Player(top, point, event_sink, side_effects, given)
    for name, variant in (variants or {}).items():
        before = story.variants.get(name, "no exposure")
        player.notes.append(f"{name}: {variant}, where the recorded run had {before}")
    result, error = _made(player, partial(function, *args, **kwargs))
    replayed = _reported(player, story, top, result, error)
    if player.stopped is not None:
        raise ReplayRefused(str(player.stopped), replayed)
    if not player.reached:
        raise ReplayRefused(
            f"the code ended without asking for {point.label}, so nothing of it was run: replay from a step "
            "that it still asks for",
            replayed,
        )
    return replayed


def _agent_of(app: App, run: Run) -> Callable[..., Any]:
    """The function called by the run: of the run's version, else the function defined last."""
    named = {version: function for (name, version), function in app.agents.items() if name == run.agent}
    if not named:
        known = ", ".join(sorted({name for name, _ in app.agents})) or "none"
        raise ReplayRefused(
            f"run {run.run_id} is of agent {run.agent!r}, and this app has no function of it with @app.agent "
            f"(it has {known}); nothing was run: a run made by `with app.run(…)` can't be replayed"
        )
    return named.get(run.version) or list(named.values())[-1]


def _made(player: Player, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """The agent's result, or the exception raised."""
    token = otel.attach(with_replay(player, otel.get_current()))
    try:
        return _ended(call), None
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # noqa: BLE001 - the agent's own, told as what came of the run
        return None, error
    except BaseException:
        # Our Stopped, perhaps inside of a group. Any other exception is the caller's.
        if player.stopped is None:
            raise
        return None, None
    finally:
        otel.detach(token)


def _ended(call: Callable[[], Any]) -> Any:
    """Call an agent of any sort and await its end; a stream becomes the list of its items."""
    given = call()
    if inspect.isgenerator(given):
        return list(given)
    if not (inspect.isawaitable(given) or inspect.isasyncgen(given)):
        return given
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_awaited(given))
    # In a notebook, say: its loop can't be waited for from inside.
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(contextvars.copy_context().run, asyncio.run, _awaited(given)).result()


async def _awaited(given: Any) -> Any:
    return [item async for item in given] if inspect.isasyncgen(given) else await given


def _reported(player: Player, story: Story, top: Recorded, result: Any, error: Exception | None) -> Replayed:
    event_sink, run = player.event_sink, player.run
    assert run is not None
    events = event_sink.events
    again = story_of(run.id, events("runs"), events("steps"), events("scores"))
    after = recorded_of(again)
    return Replayed(
        run_id=run.id,
        replayed_from=top.id,
        replayed_step=str(player.marks["replayed_step"]),
        agent=run.agent,
        before=figures(top),
        after=figures(after),
        lines=list(compared(top, after)),
        scores=scored(top, story.scores, after, again.scores),
        withheld=event_sink.withheld(),
        notes=player.notes,
        result=result,
        error=error,
    )


__all__ = ["Replayed", "replay"]

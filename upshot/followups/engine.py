"""Running deferred code once, from its top to its end or to the first missing answer."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from upshot.errors import Misuse
from upshot.followups.branches import watch_tasks
from upshot.followups.context import Followup
from upshot.followups.failing import error_text, is_users, places
from upshot.followups.history import NonDeterminismError
from upshot.followups.replay import Replay, Suspended, swallowed
from upshot.followups.scorers import Scorer
from upshot.followups.states import BranchState
from upshot.processors.followups.execution import Execution, KeepResult, Snapshot

#: Passes of the loop after one branch has left the code, for other branches to reach their own waits.
_TURNS = 20
#: Seconds for cancelled code to clean up.
_CLEAN_UP = 1.0
_Ending = Literal["waiting", "done", "failed"]


async def execute(
    scorer: Scorer[Any, Any], memory: Snapshot, *, not_run: dict[str, str] | None = None
) -> Execution:
    """The execution of a scorer's code with the known answers and results; see `Execution`.

    Raises nothing but CancelledError. Steps under way when the code leaves are finished first. Their results
    may let another branch of the code continue, so the code is run again with them. Where `not_run` is given,
    no step is run: steps without a result are noted there, name by id, and the code waits for their results.
    """
    watch_tasks(asyncio.get_running_loop())
    loop_time = asyncio.get_running_loop().time
    ends = loop_time() + scorer.timeout.total_seconds()
    try:
        data = scorer.read(bytes(memory.origin.data))
    except Misuse as misfit:
        return Execution("unfit", error=str(misfit), attempts=scorer.attempts)
    results = dict(memory.results)
    while True:
        replay = Replay(memory, results, not_run)
        ending, error = await _replay(scorer, replay, data, ends)
        results |= replay.gained
        if replay.history.unfit is not None:
            step_results = tuple(command for command in replay.commands if isinstance(command, KeepResult))
            return Execution("unfit", step_results, error=replay.history.unfit, attempts=scorer.attempts)
        if ending != "waiting" or replay.gained.keys() <= replay.seen:
            return Execution(ending, replay.commands, tuple(replay.history.path), error, scorer.attempts)


async def _replay(
    scorer: Scorer[Any, Any], replay: Replay, data: Any, ends: float
) -> tuple[_Ending, str | None]:
    """Replay the code once; gives the ending and the error."""
    # Not by the loop's factory: the code's first branch begins here.
    main = asyncio.Task(_code(scorer, replay, data), loop=asyncio.get_running_loop())
    replay.begin(main)
    ending: _Ending = "failed"
    error: str | None = None
    try:
        if not await _over({main}, ends):
            error = _too_long(scorer, _where(main))
            return ending, error
        ending, error = _judge(scorer, replay, main)
        if ending == "waiting":
            await _turns(replay)
        while under_way := {step for step in replay.steps if not step.done()}:
            if not await _over(under_way, ends):
                ending, error = "failed", _too_long(scorer, next(iter(under_way)).get_name())
                break
            await _turns(replay)
        if ending == "done" and replay.missing is not None:
            ending, error = "failed", swallowed(replay.missing)
        if ending == "done" and replay.misuse is not None:
            ending, error = "failed", replay.misuse
        if ending == "waiting" and (raised := _raised_in_a_branch(replay)) is not None:
            ending, error = "failed", error_text(raised)
        return ending, error
    finally:
        replay.end(ending)
        await _clear(replay)
        while replay.branches:
            replay.branches.pop().leave()


async def _code(scorer: Scorer[Any, Any], replay: Replay, data: Any) -> None:
    ctx = Followup(replay, data)
    try:
        value = await scorer.function(ctx)
    except (SystemExit, KeyboardInterrupt) as error:
        # These would end the loop, with all other executions.
        raise RuntimeError(f"raised {error!r}") from error
    if value is not None:
        ctx.score(scorer.name, value)


async def _over(tasks: set[asyncio.Task[Any]], ends: float) -> bool:
    """Wait until all tasks are done, no longer than to `ends`; gives whether all are done."""
    _, left = await asyncio.wait(tasks, timeout=max(0.0, ends - asyncio.get_running_loop().time()))
    return not left


async def _turns(replay: Replay) -> None:
    """Let remaining branches continue, and have the ends of branches noted."""
    if len(replay.branches) == 1:
        return
    for _ in range(_TURNS):
        over = all(branch.ended for branch in replay.branches)
        await asyncio.sleep(0)
        if over:
            return


async def _clear(replay: Replay) -> None:
    """Leave nothing behind. A task never using the ctx may belong to a library, and be meant to stay."""
    ours = [branch.task for branch in replay.branches if branch.task is not None and branch.state.has_asked]
    left = [task for task in (*ours, *replay.steps) if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_CLEAN_UP)


def _judge(scorer: Scorer[Any, Any], replay: Replay, main: asyncio.Task[None]) -> tuple[_Ending, str | None]:
    if main.cancelled():
        return "failed", f"the code of {scorer.name} cancelled itself"
    error = main.exception()
    if error is None:
        return "done", None
    if _is_leaving(error):
        return "waiting", None
    if replay.misuse is not None:
        return "failed", replay.misuse
    if isinstance(error, BaseExceptionGroup):
        error = error.split((Suspended, NonDeterminismError))[1] or error
    lines = [error_text(error)]
    if not places(error, 1):
        code = scorer.function.__code__ if hasattr(scorer.function, "__code__") else None
        lines += [f"  {code.co_filename}:{code.co_firstlineno} in {code.co_name}"] if code else []
    if _was_leaving(error):
        lines.append(
            f"(raised on the way out of the code, which doesn't know {replay.missing} yet: `finally` and "
            "`except BaseException` run then, too)"
        )
    return "failed", "\n".join(lines)


def _raised_in_a_branch(replay: Replay) -> BaseException | None:
    """The exception of another branch while one left the code; code awaiting both could have got this first.

    Not where the branch above continued after the exception, and so knows of the exception.
    """
    for branch in replay.branches:
        if branch.parent is None or branch.parent.state is BranchState.SUSPENDED:
            continue
        error = branch.raised()
        if error is not None and not _is_leaving(error) and branch.ended_unnoticed():
            return error
    return None


def _is_leaving(error: BaseException) -> bool:
    """Whether an exception is only the code's leaving, also where raised by a TaskGroup."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_leaving(inner) for inner in error.exceptions)
    return isinstance(error, Suspended | NonDeterminismError)


def _was_leaving(error: BaseException | None) -> bool:
    while error is not None:
        error = error.__cause__ or error.__context__
        if isinstance(error, Suspended):
            return True
    return False


def _too_long(scorer: Scorer[Any, Any], where: str) -> str:
    return (
        f"the code of {scorer.name} ran for more than {scorer.timeout.total_seconds():g} "
        f"s{where and f', at {where}'}: steps that ended are kept. Give it longer, "
        "@app.scorer(timeout=timedelta(minutes=…)), or wait by ctx.sleep and ctx.wait_for_event, which take "
        "none of that time"
    )


def _where(task: asyncio.Task[Any]) -> str:
    """The last place in the user's code at which a task awaits something."""
    coroutine: Any = task.get_coro()
    found = ""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and is_users(frame.f_code.co_filename):
            found = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        coroutine = getattr(coroutine, "cr_await", None)
    return found


__all__ = ["execute"]

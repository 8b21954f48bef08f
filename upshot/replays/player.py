"""Decides for each call of a replay: run the function, or give the recorded result."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar, cast

from upshot.errors import ReplayRefused
from upshot.replays.event_sink import ReplayEventSink
from upshot.replays.recorded import Recorded
from upshot.replays.values import annotated, error_of, read_back, result_of, was_awaited
from upshot.schemas.steps import Step as StepFact
from upshot.sdk.context import run_in, step_in
from upshot.sdk.runs import Run
from upshot.sdk.scope import Scope
from upshot.sdk.steps import Step

P = ParamSpec("P")
R = TypeVar("R")

#: The treatment of a step with side effects: end the replay there, run the step, or give its recorded result.
Choice = Literal["refuse", "run", "recorded"]


@dataclass(frozen=True)
class SideEffect:
    """A step with side effects, about to run: its arguments, as JSON where known, and whether recorded."""

    name: str
    arguments: str | None
    recorded: bool


class Stopped(BaseException):
    """Ends the agent's code from inside: no `except Exception` in the code may catch this."""

    def __init__(self, error: ReplayRefused) -> None:
        super().__init__(str(error))
        self.error = error


class Player:
    """A single replay: see `upshot.sdk.replaying.Replaying`.

    Until the code calls `point`, each call is looked up in the record: a call recorded before `point` gets
    its recorded result, a call around `point` is run. From `point` on, every call is run.
    """

    def __init__(
        self,
        top: Recorded,
        point: Recorded,
        event_sink: ReplayEventSink,
        side_effects: Choice | Callable[[SideEffect], Choice],
        variants: Mapping[str, str] | None = None,
    ) -> None:
        self.event_sink = event_sink
        self.marks: Mapping[str, Any] = {"replayed_from": top.id, "replayed_step": point.label}
        self.reached = False
        #: The new run.
        self.run: Run | None = None
        self.stopped: ReplayRefused | None = None
        #: Remarks for the reader of the comparison.
        self.notes: list[str] = []
        self._variants = variants or {}
        self._top = top
        self._point = point
        self._choose = side_effects if callable(side_effects) else lambda effect: side_effects
        self._nodes: dict[int, Recorded | None] = {}
        #: Scopes are looked up by identity: none may be freed before the end.
        self._scopes: list[Scope] = []
        self._used: set[Recorded] = set()
        self._lock = RLock()

    def entered(self, scope: Scope) -> None:
        """See Replaying: find the scope in the record."""
        with self._lock:
            if isinstance(scope, Run):
                self.event_sink.runs.add(scope.id)
                self.run = self.run or scope
            node = self._found(scope)
            self._scopes.append(scope)
            self._nodes[id(scope)] = node
        if node is not None and node is not self._top and isinstance(scope, Step | Run):
            scope.set_attribute("replayed_from", node.run.run_id if node.run else node.id)

    def variant_of(self, experiment: str) -> str | None:
        """See Replaying."""
        return self._variants.get(experiment)

    def stand_in(self, scope: Scope, function: Callable[P, R]) -> Callable[P, R]:
        """See Replaying."""
        with self._lock:
            node = self._nodes[id(scope)]
            if node is self._top or not self._answered(scope, node):
                effect = isinstance(scope, Step) and scope.side_effects
                if not effect or self._chosen(cast("Step", scope), node) == "run":
                    return function
            assert node is not None
            return self._reported(scope, node, function)

    def admit(self, scope: Scope) -> None:
        """See Replaying. The code of a `with` always runs: there is no result to give instead."""
        with self._lock:
            node = self._nodes[id(scope)]
            self._answered(scope, node)
            if not (isinstance(scope, Step) and scope.side_effects):
                return
            if self._chosen(scope, node) == "recorded":
                self._stop(
                    f"{_named(scope)} has side effects and is a `with`, whose result isn't kept; it wasn't "
                    "run: make it a function with @app.step(side_effects=True), or say yes to side effects"
                )

    def _found(self, scope: Scope) -> Recorded | None:
        """The scope's node in the record: by the enclosing node, the name, the arguments, and the turn."""
        step = step_in(None)
        run = scope.run if isinstance(scope, Step) else run_in(None)
        if run is None:
            return self._top
        around = self._nodes.get(id(step if step is not None and step.run is run else run))
        if around is None:
            return None
        name = scope.name if isinstance(scope, Step) else f"invoke_agent {cast('Run', scope).agent}"
        attempt = scope.attempt if isinstance(scope, Step) else 1
        named = [node for node in around.asked() if node.name == name]
        # A further attempt repeats a node found before; a first attempt takes a node not found so far.
        free = [node for node in named if (node in self._used) == (attempt > 1)]
        given = scope.arguments if isinstance(scope, Step | Run) else None
        same = [node for node in free if given is not None and node.arguments == given]
        if not free:
            return None
        found = (same or free)[0] if attempt == 1 else (same or free)[-1]
        self._used.add(found)
        return found

    def _answered(self, scope: Scope, node: Recorded | None) -> bool:
        """Whether the recorded result counts; records the arrival at the point. Raises Stopped."""
        if self.stopped is not None:
            raise Stopped(self.stopped)
        if self.reached or not isinstance(scope, Run | Step):
            return False
        if node is None:
            self._stop(
                f"the code asks for {_named(scope)} here, which run {self._top.id} didn't do before "
                f"{self._point.label}; it wasn't run: replay from {self._before()}"
            )
        if node is self._point:
            self.reached = True
        return not self.reached and not node.around(self._point) and node.place < self._point.place

    def _chosen(self, step: Step, node: Recorded | None) -> Choice:
        chosen = self._choose(SideEffect(step.name, step.arguments, node is not None))
        if chosen == "refuse":
            self._stop(
                f"{_named(step)} has side effects; it wasn't run: say yes to them, or have what it gave "
                "before (--yes-side-effects, --recorded-side-effects)"
            )
        if chosen == "recorded" and node is None:
            self._stop(
                f"{_named(step)} has side effects and no recorded result; it wasn't run: say yes to them"
            )
        return chosen

    def _reported(self, scope: Scope, node: Recorded, function: Callable[P, R]) -> Callable[P, R]:
        """A function giving the recorded result, or raising the recorded error."""
        attempt = node.attempts.get(scope.attempt if isinstance(scope, Step) else 1) or node.last
        if isinstance(scope, Step):
            scope.set_attribute("recorded", True)
            if scope.arguments is not None and scope.arguments != node.arguments:
                self.notes.append(
                    f"{node.label} was given other arguments than recorded: its result may not fit them"
                )
        elif isinstance(scope, Run):
            scope.set_attribute("recorded", True)
        if attempt is None:
            self._stop(f"{node.label} isn't recorded in full; replay from it, or from an earlier step")
        if attempt.status not in ("ok", "running"):
            return _raising(function, attempt)
        try:
            value = self._value(node, attempt, function)
        except ReplayRefused as error:
            self._stop(str(error))
        if not annotated(function):
            self.notes.append(f"{node.label} says no type for what it gives: its result is plain JSON")
        return _giving(function, value, was_awaited(attempt))

    def _value(self, node: Recorded, attempt: StepFact, function: Callable[..., Any]) -> Any:
        if node.run is None:
            return result_of(function, attempt, node.label)
        if not node.run.input or node.run.output is None:
            return result_of(function, attempt, node.label)
        return read_back(function, node.run.output, node.label, as_text=None)

    def _before(self) -> str:
        """The last step found so far, as a place to begin from; else the beginning."""
        found = [node for node in self._used if node.instrumentation is None and node is not self._top]
        return (
            f"{max(found, key=lambda node: node.place).label} or an earlier step"
            if found
            else "its first step"
        )

    def _stop(self, why: str) -> NoReturn:
        self.stopped = self.stopped or ReplayRefused(why)
        raise Stopped(self.stopped)


def _named(scope: Scope) -> str:
    return f"step {scope.name!r}" if isinstance(scope, Step) else f"agent {cast('Run', scope).agent!r}"


def _giving(function: Callable[P, R], value: Any, awaited: bool) -> Callable[P, R]:
    async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
        return value

    def now(*args: P.args, **kwargs: P.kwargs) -> Any:
        return value

    return cast("Callable[P, R]", later if awaited or inspect.iscoroutinefunction(function) else now)


def _raising(function: Callable[P, R], attempt: StepFact) -> Callable[P, R]:
    error = error_of(attempt)

    async def later(*args: P.args, **kwargs: P.kwargs) -> Any:
        raise error

    def now(*args: P.args, **kwargs: P.kwargs) -> Any:
        raise error

    return cast("Callable[P, R]", later if inspect.iscoroutinefunction(function) else now)


__all__ = ["Choice", "Player", "SideEffect", "Stopped"]

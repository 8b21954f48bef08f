"""The common part of runs and steps: a span, and being the current place, for the length of a `with`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Literal, ParamSpec, Protocol, Self, TypeVar

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from upshot.errors import Misuse
from upshot.schemas.numbers import plain
from upshot.sdk.facts import as_text

P = ParamSpec("P")
R = TypeVar("R")
Ending = Literal["ok", "error", "cancelled"]

_PLAIN = (str, bool, int, float)


class CallReplay(Protocol):
    """The part of a replay about the calls of runs and steps; see `Replaying`."""

    def entered(self, scope: Any) -> None:
        """A run or a step began; the code around the scope is still the current place."""

    def stand_in(self, scope: Any, function: Callable[P, R]) -> Callable[P, R]:
        """The function to call for this scope: `function`, or a function returning the recorded result."""

    def admit(self, scope: Any) -> None:
        """The code of a `with` is about to run. Raises where the code must not run."""


class Scope:
    """A run or a step: opened once, finished once. `with` and `async with` do both."""

    _noun = "scope"
    #: Whether the scope is a call of a function, not the code of a `with`.
    is_call = False
    #: Whether the call returned something to await, although its function isn't async.
    awaited = False
    #: Set where the scope is made again by a replay.
    replaying: CallReplay | None = None

    _span: Span | None = None
    _context: Context | None = None
    _token: Any = None
    _finished = False

    def _begin(self) -> tuple[Span, Context]:
        """Start the span; returns the span and the context of the code inside."""
        raise NotImplementedError

    def _began(self) -> None:
        """Report the beginning; the surrounding place is still the current place."""

    def _end(self, span: Span, ending: Ending, error: BaseException | None) -> None:
        """Finish the span and record the end."""
        raise NotImplementedError

    def stand_in(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function to call: the given one, unless a replay has the recorded result."""
        return function if self.replaying is None else self.replaying.stand_in(self, function)

    def open(self) -> None:
        """Begin, without being the current place yet."""
        if self._span is not None:
            raise Misuse(f"this {self._noun} was used before; make a new one for each `with`")
        self._span, self._context = self._begin()
        self._began()

    def finish(self, error: BaseException | None = None) -> None:
        """End: well, or by `error`. An ended scope stays as it is."""
        if self._span is None or self._finished:
            return
        self._finished = True
        ending = "ok" if error is None else _ending(error)
        if error is not None and ending != "ok":
            kind = _name_of(error)
            self._span.set_attribute("error.type", kind)
            if ending == "error":
                self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error) or kind))
        self._end(self._span, ending, None if ending == "ok" else error)

    def inside(self, function: Callable[[], R]) -> R:
        """Call a function in this place; the next call finds the scopes left open inside again."""
        token = otel.attach(self._context or otel.get_current())
        try:
            return function()
        finally:
            self._context = otel.get_current()
            otel.detach(token)

    async def inside_await(self, awaitable: Awaitable[R]) -> R:
        """The same for something to await."""
        token = otel.attach(self._context or otel.get_current())
        try:
            return await awaitable
        finally:
            self._context = otel.get_current()
            otel.detach(token)

    def __enter__(self) -> Self:
        self.open()
        if self.replaying is not None and not self.is_call:
            self._admitted(self.replaying)
        assert self._context is not None
        self._token = otel.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        otel.detach(self._token)
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _admitted(self, replaying: CallReplay) -> None:
        """The code of the `with` may run, unless the replay refuses."""
        try:
            replaying.admit(self)
        except BaseException as error:
            self.finish(error)
            raise

    def _opened(self) -> Span:
        if self._span is None:
            raise Misuse(f"this {self._noun} has not begun; use it inside `with {self._noun}:`")
        return self._span


class NullScope(Scope):
    """No run and no step: the place is left unchanged."""

    def open(self) -> None:
        """Nothing begins."""
        self._context = otel.get_current()

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing ends."""


def set_on(span: Span, attributes: Mapping[str, Any]) -> None:
    """Set attributes; values without a type in OpenTelemetry are JSON."""
    for name, value in attributes.items():
        stated = plain(value)
        span.set_attribute(name, stated if isinstance(stated, _PLAIN) else as_text(stated))


def _ending(error: BaseException | None) -> Ending:
    if error is None:
        return "ok"
    if isinstance(error, SystemExit):
        return "error" if error.code else "ok"
    # Not an Exception: cancelled, interrupted, or a stream with no reader any more.
    return "error" if isinstance(error, Exception) else "cancelled"


def _name_of(error: BaseException) -> str:
    if _ending(error) == "cancelled":
        return "CancelledError"
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


__all__ = ["CallReplay", "Ending", "NullScope", "Scope", "set_on"]

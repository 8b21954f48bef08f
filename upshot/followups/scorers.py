"""Scorers: async functions to be deferred, and the facts known by their signature."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from upshot.errors import Misuse
from upshot.followups.context import Followup
from upshot.schemas.wording import in_words

T = TypeVar("T")
R = TypeVar("R", bound=bool | float | None)

#: How long one execution may take, apart from its waits through ctx.
TIMEOUT = timedelta(minutes=5)
_LONGEST_NAME = 200
_EXAMPLE = "async def {name}(ctx: upshot.Followup[Ticket]) -> bool:"


class Scorer(Generic[T, R]):
    """A function to be deferred, made by `@app.scorer`, and identified by `name` and `version`.

    `timeout` is the longest time of one execution, `attempts` the number of tries of failing code (None: the
    worker's setting).
    """

    def __init__(
        self,
        function: Callable[[Followup[T]], Awaitable[R]],
        *,
        name: str | None = None,
        version: str = "1",
        timeout: timedelta | None = None,
        attempts: int | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises Misuse for an unusable function. `scope` holds the local names around its definition."""
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "scorer")
        self.name = self.__name__ if name is None else name
        self.version = version
        self.timeout = TIMEOUT if timeout is None else timeout
        self.attempts = attempts
        for what, text in (("name", self.name), ("version", version)):
            if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_NAME:
                raise Misuse(f'{what}={text!r:.100} is no {what} of a scorer: write @app.scorer({what}="2")')
        if not isinstance(self.timeout, timedelta) or self.timeout <= timedelta(0):
            raise Misuse(f"timeout={timeout!r} is no length of time: write timeout=timedelta(minutes=5)")
        if attempts is not None and (not isinstance(attempts, int) or attempts < 1):
            raise Misuse(f"attempts={attempts!r} would never run it: write attempts=1 for a single try")
        self._kind = _data_type(function, self.__name__, scope)
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(self._kind)
        except PydanticUserError as error:
            raise Misuse(
                f"{self.__name__} takes Followup[{type_name(self._kind)}], and that can't be kept as JSON: "
                f"use a pydantic model, a dataclass or plain data ({error.message.splitlines()[0]})"
            ) from None

    def __call__(self, ctx: Followup[T]) -> Awaitable[R]:
        """The function itself, to be called from another scorer with its ctx."""
        return self.function(ctx)

    def __repr__(self) -> str:
        return f"<scorer {self.name} version {self.version}>"

    def write(self, data: T) -> bytes:
        """The data of a deferral, as JSON. Raises Misuse for data of another type."""
        try:
            written = self._adapter.dump_json(self._adapter.validate_python(data), warnings="error")
            self._adapter.validate_json(written)
        except ValidationError as error:
            raise Misuse(
                f"{self.name} takes {type_name(self._kind)}, not {data!r:.100}: {in_words(error)}; nothing "
                "is deferred"
            ) from None
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise Misuse(
                f"{data!r:.100} can't be kept as JSON for {self.name}: {in_words(error)}; nothing is deferred"
            ) from None
        return written

    def read(self, data: bytes) -> T:
        """The data again. Raises Misuse where this code takes another type by now."""
        try:
            return self._adapter.validate_json(data)
        except ValidationError as error:
            raise Misuse(
                f"its data {data[:100]!r} is no {type_name(self._kind)}, which {self.name} version "
                f"{self.version} takes: {in_words(error)}. Take the old data too (a default for a new field) "
                'or register the changed code beside the old as @app.scorer(version="2")'
            ) from None


#: The scorers of an app by name and version.
Scorers = Mapping[tuple[str, str], Scorer[Any, Any]]


def registered(
    scorers: MutableMapping[tuple[str, str], Scorer[Any, Any]], function: Callable[..., Any], **options: Any
) -> Scorer[Any, Any]:
    """A scorer made of a function, added to `scorers`. Raises Misuse where another has its name and version.

    A function defined anew at its place, by a notebook's cell or a reload, replaces the old function.
    """
    made: Scorer[Any, Any] = Scorer(function, **options)
    before = scorers.get((made.name, made.version))
    if before is not None and not _defined_again(before.function, function):
        raise Misuse(
            f"there is a scorer {made.name} version {made.version} already: write @app.scorer(name=…) for "
            'another one, @app.scorer(version="2") for changed code beside the old'
        )
    scorers[made.name, made.version] = made
    return made


def _defined_again(before: Any, now: Any) -> bool:
    place = getattr(now, "__module__", None), getattr(now, "__qualname__", None)
    was = getattr(before, "__module__", None), getattr(before, "__qualname__", None)
    return before is not now and place == was


class HasScorers(Protocol):
    """The part of an app needed here: `upshot.App` has scorers."""

    @property
    def scorers(self) -> Scorers: ...


def names_at(depth: int) -> Mapping[str, Any]:
    """The local names of the caller `depth` calls above: annotations may name classes made there."""
    return sys._getframe(depth + 1).f_locals


def type_name(kind: Any) -> str:
    """A type as people write the type."""
    return getattr(kind, "__name__", str(kind))


def _data_type(function: Any, name: str, scope: Mapping[str, Any] | None) -> Any:
    example = _EXAMPLE.format(name=name)
    if not callable(function):
        raise Misuse(f"@app.scorer takes no {type(function).__name__}; write @app.scorer(name={function!r})")
    if not inspect.iscoroutinefunction(function):
        raise Misuse(f"{name} is no async function: write `{example}`")
    parameters = list(inspect.signature(function).parameters.values())
    needed = [
        p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if not parameters or len(needed) > 1 or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise Misuse(
            f"{name} takes {len(needed)} arguments, a scorer takes one: write `{example}`; what it needs to "
            "know goes into ctx.data"
        )
    first = parameters[0]
    if first.annotation is first.empty:
        raise Misuse(f"{name} doesn't say what data it takes: write `{example}`")
    try:
        annotation = get_type_hints(function, localns=dict(scope or {}), include_extras=True).get(first.name)
    except NameError as error:
        raise Misuse(
            f"{name} names a type that isn't known here ({error}): define or import it above the scorer, not "
            "only under TYPE_CHECKING"
        ) from None
    if annotation is Followup or get_origin(annotation) is not Followup:
        raise Misuse(
            f"{name} takes {type_name(annotation)}, a scorer takes Followup of its data's type: write "
            f"`{example}`"
        )
    return get_args(annotation)[0]


__all__ = ["TIMEOUT", "HasScorers", "Scorer", "Scorers", "names_at", "registered", "type_name"]

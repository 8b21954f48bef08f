"""Recorded JSON as the arguments and results of a function, by its annotations."""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from upshot.errors import ReplayRefused
from upshot.otel.reading import LONGEST_CONTENT
from upshot.schemas.steps import Step
from upshot.schemas.wording import in_words
from upshot.sdk.steps import AWAITED, RESULT

_NOT_STORED = (
    "content wasn't kept when it ran: upshot.App(…, capture_content=True) keeps what agents and steps are "
    "given and give"
)


class RecordedError(Exception):
    """The error of a recorded step, where its own class isn't loaded here."""


def call_of(
    function: Callable[..., Any], recorded: str | None, what: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The recorded arguments of a call. Raises ReplayRefused where the arguments can't be read back."""
    if not recorded:
        raise ReplayRefused(f"{what} has no recorded arguments; nothing was run: {_NOT_STORED}")
    try:
        given = from_json(recorded)
        signature = inspect.signature(function)
        bound = signature.bind_partial()
        hints = _hints(function)
        if "self" in given and "." in getattr(function, "__qualname__", ""):
            raise ReplayRefused(
                f"{what} is a call of the method {function.__qualname__}, whose object isn't recorded; "
                "nothing was run: make @app.agent a function that makes the object"
            )
        unknown = [name for name in given if name not in signature.parameters]
        if unknown:
            raise ReplayRefused(
                f"{what} was given {', '.join(unknown)}, which its function doesn't take any more; nothing "
                "was run: give it that parameter for the time of the replay"
            )
        for name, parameter in signature.parameters.items():
            if name in given:
                hint = _hint_of(parameter, hints.get(name, Any))
                bound.arguments[name] = _adapter(hint).validate_json(to_json(given[name]))
        return bound.args, bound.kwargs
    except (ValueError, TypeError, AttributeError) as error:
        raise ReplayRefused(f"{what}: {_unreadable(recorded, error)}; nothing was run") from None


def result_of(function: Callable[..., Any], step: Step, what: str) -> Any:
    """The result of a recorded call. Raises ReplayRefused where the result can't be read back."""
    stored_form = step.attributes.get(RESULT)
    if stored_form is None or step.output is None:
        if "upshot.left_out" in step.attributes:
            raise ReplayRefused(f"{what} gave too much to be kept, {_HENCE}")
        if _streams(function):
            raise ReplayRefused(f"{what} is a stream, whose items aren't kept, {_HENCE}")
        raise ReplayRefused(f"{what} has no recorded result, {_HENCE}; {_NOT_STORED}")
    if stored_form not in ("text", "json"):
        raise ReplayRefused(
            f"{what} gave something that JSON doesn't know ({step.output!r:.100}), {_HENCE}: make it a "
            "pydantic model or a dataclass"
        )
    return read_back(function, step.output, what, as_text=stored_form == "text")


def read_back(function: Callable[..., Any], output: str, what: str, *, as_text: bool | None) -> Any:
    """A kept result, read by the function's annotation. Raises ReplayRefused.

    `as_text` None means unknown: the result is read as JSON where the JSON fits the annotation.
    """
    hint = _result_hint(function)
    try:
        if as_text or (as_text is None and hint is str):
            return _adapter(hint).validate_python(output)
        return _adapter(hint).validate_json(output)
    except (ValueError, TypeError, AttributeError) as error:
        if as_text is None:
            return read_back(function, output, what, as_text=True)
        raise ReplayRefused(f"{what}: {_unreadable(output, error)}, {_HENCE}") from None


def error_of(step: Step) -> BaseException:
    """An error like the recorded call's: of its class where the class is loaded, with its message."""
    module, _, name = (step.error_type or "").rpartition(".")
    found = getattr(builtins if not module else sys.modules.get(module), name, None)
    message = step.error or ""
    if isinstance(found, type) and issubclass(found, Exception):
        # Not by calling the class: nothing is known of its constructor's arguments.
        made = found.__new__(found, message)
        made.args = (message,)
        return made
    return RecordedError(f"{step.error_type}: {message}" if step.error_type else message)


def was_awaited(step: Step) -> bool:
    """Whether the call gave an awaitable."""
    return bool(step.attributes.get(AWAITED))


def annotated(function: Callable[..., Any]) -> bool:
    """Whether the function declares the type of its result."""
    return _result_hint(function) is not Any


_UNREADABLE = object()
_HENCE = "so it can't be given again: replay from it, or from an earlier step"


def _result_hint(function: Callable[..., Any]) -> Any:
    hint = _hints(function).get("return", Any)
    if get_origin(hint) in (Awaitable, Coroutine):
        return get_args(hint)[-1]
    return hint


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The readable annotations; of a partial, its function's; of an object, its `__call__`'s."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    stated = getattr(function, "__annotations__", {})
    return {name: hint for name in stated if (hint := _resolved(function, name)) is not _UNREADABLE}


def _resolved(function: Callable[..., Any], name: str) -> Any:
    """A single annotation; the others may use names known only to type checkers."""
    inner = inspect.unwrap(function)
    alone = SimpleNamespace(__annotations__={name: inner.__annotations__[name]})
    local = inspect.getclosurevars(inner).nonlocals if inspect.isfunction(inner) else {}
    try:
        found = get_type_hints(alone, getattr(inner, "__globals__", {}), dict(local), include_extras=True)
    except (NameError, TypeError, AttributeError):
        return _UNREADABLE
    return found[name]


def _hint_of(parameter: inspect.Parameter, hint: Any) -> Any:
    """The annotation of all values taken by a parameter."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return tuple[hint, ...]
    return dict[str, hint] if parameter.kind is parameter.VAR_KEYWORD else hint


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        raise ValueError(
            f"{getattr(hint, '__name__', hint)} can't be read back from JSON: make it a pydantic model or a "
            "dataclass"
        ) from None


def _streams(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _unreadable(recorded: str, error: Exception) -> str:
    if len(recorded) >= LONGEST_CONTENT:
        return f"what is recorded was cut at {LONGEST_CONTENT:,} characters"
    if isinstance(error, ValidationError):
        return (
            f"what is recorded doesn't fit the function's annotation ({in_words(error)}; it is "
            f"{recorded!r:.100})"
        )
    return f"what is recorded can't be read back ({error}; it is {recorded!r:.100})"


__all__ = ["RecordedError", "annotated", "call_of", "error_of", "read_back", "result_of", "was_awaited"]

"""Steps of deferred code: run once, their results kept as JSON and given back in their own types."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Raw
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from upshot.errors import Misuse, StepFailed
from upshot.followups.branches import Branch
from upshot.followups.failing import error_text
from upshot.followups.replay import Replay
from upshot.processors.followups.execution import KeepResult
from upshot.schemas.wording import in_words

_UNKNOWN = Any


def arguments_shape(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The arguments of a step as JSON. Raises Misuse for values unknown to JSON."""
    try:
        return to_json(_ordered((args, kwargs) if kwargs else args)).decode()[1:-1]
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise Misuse(
            f"step {name!r} can't be known again by its arguments: {error}. Hand in plain data; what is no "
            "data, such as a client, belongs to the function: client.fetch, or functools.partial(fetch, "
            "client)"
        ) from None


def _ordered(value: Any) -> Any:
    """The same value with ordered sets: the order of a set differs from process to process."""
    if isinstance(value, set | frozenset):
        return sorted(map(_ordered, value), key=lambda item: (type(item).__name__, repr(item)))
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        return {name: _ordered(item) for name, item in value.items()}
    return value


class StepResult:
    """The form in which a function's results are kept: by the function's annotated return type."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        """Raises Misuse for a type with no form as JSON, before the step is run."""
        self.name = name
        self._type = _returned(function)
        try:
            self._adapter: TypeAdapter[Any] = _adapter(self._type)
        except PydanticUserError as error:
            raise Misuse(
                f"step {name!r} returns {_type_name(self._type)}, which can't be kept as JSON: return plain "
                f"data, a dataclass or a pydantic model ({error.message.splitlines()[0]})"
            ) from None

    def write(self, value: Any) -> Raw:
        """A result, for keeping. Raises Misuse for a result of another type than the annotated type."""
        try:
            written = self._adapter.dump_json(value, warnings="error")
            back = self._adapter.validate_json(written)
        except (PydanticSerializationError, ValidationError, ValueError, RecursionError) as error:
            raise Misuse(
                f"step {self.name!r} gave {value!r:.100}, which can't be kept as {_type_name(self._type)}: "
                f"return plain data, and annotate its type (`-> {type(value).__name__}`); {in_words(error)}"
            ) from None
        if self._type is _UNKNOWN and back != value:
            raise Misuse(
                f"step {self.name!r} gave a {type(value).__name__}, which JSON alone would give back as "
                f"{type(back).__name__}: annotate the function, `-> {type(value).__name__}`"
            )
        return Raw(b'{"gave":' + written + b"}")

    def read(self, result: Raw) -> Any:
        """The result again. Raises StepFailed where the step failed, Misuse where the type no longer fits."""
        stored = msgspec.json.decode(result, type=dict[str, Raw])
        if "raised" in stored:
            raise StepFailed(msgspec.json.decode(stored["raised"], type=str))
        try:
            return self._adapter.validate_json(bytes(stored["gave"]))
        except ValidationError as error:
            raise Misuse(
                f"step {self.name!r} gave {bytes(stored['gave'])!r:.100} when it was run, which is no "
                f"{_type_name(self._type)}: give the old code back, and register the changed one beside it "
                f'as @app.scorer(version="2"); {in_words(error)}'
            ) from None


async def run_step(
    replay: Replay, branch: Branch, step_id: str, stored: StepResult, calling: Callable[[], Awaitable[Any]]
) -> Any:
    """Run a step without a result; gives the result in the form given at the next execution, too.

    The step goes on where the code awaiting the step is cancelled. Raises StepFailed where the step raised,
    Misuse where the result can't be kept.
    """

    async def run() -> Exception | None:
        try:
            given = await calling()
        except Exception as error:  # noqa: BLE001 - the user's code decides what becomes of it
            return error
        except (SystemExit, KeyboardInterrupt) as error:
            return RuntimeError(f"raised {error!r}")
        result = stored.write(given)
        replay.gained[step_id] = result
        replay.keep(KeepResult(step_id, result))
        return None

    # Not by the loop's factory: a step is no branch of the code.
    task = asyncio.Task(run(), loop=asyncio.get_running_loop(), name=f"step {stored.name!r}")
    replay.steps.add(task)
    try:
        error = await asyncio.shield(task)
    except asyncio.CancelledError:
        branch.interrupt(stored.name)
        raise
    replay.seen.add(step_id)
    if error is None:
        return stored.read(replay.gained[step_id])
    failure = KeepResult(step_id, _failure(stored.name, error))
    branch.step_failed(failure)
    try:
        stored.read(failure.result)
    except StepFailed as failed:
        raise failed from error


async def call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a function: an async function here, any other function in a thread of its own."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    given = await _in_thread(functools.partial(function, *args, **kwargs))
    return await given if inspect.isawaitable(given) else given


async def _in_thread(function: Callable[[], Any]) -> Any:
    """In a daemon thread: an endless function keeps neither others nor the end of the process waiting."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            done.set_exception(error)
        else:
            # A future doesn't take these exceptions, or they would end the loop.
            done.set_exception(RuntimeError(f"raised {error!r}"))

    def work() -> None:
        outcome: tuple[Any, BaseException | None]
        try:
            outcome = context.run(function), None
        except BaseException as error:  # noqa: BLE001 - handed to the code that awaits it
            outcome = None, error
        # The loop may be closed by then: nobody waits any more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name="upshot-step", daemon=True).start()
    return await done


def _failure(name: str, error: BaseException) -> Raw:
    return Raw(msgspec.json.encode({"raised": f"step {name!r} raised {error_text(error, frames=0)}"}))


def _returned(function: Callable[..., Any]) -> Any:
    """A function's annotated return type; anything without an annotation."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, type):
        return function
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        found = get_type_hints(function, include_extras=True).get("return", _UNKNOWN)
    except (NameError, TypeError):
        return _UNKNOWN
    if not inspect.iscoroutinefunction(function) and _is_awaitable(get_origin(found)):
        found = (get_args(found) or (_UNKNOWN,))[-1]
    return found


def _is_awaitable(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__await__")


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return _made(kind)
    except TypeError:
        # The annotation can't be hashed.
        return TypeAdapter(kind)


@lru_cache(maxsize=1024)
def _made(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _type_name(kind: Any) -> str:
    return "JSON" if kind is _UNKNOWN else getattr(kind, "__name__", str(kind))


__all__ = ["StepResult", "arguments_shape", "call", "run_step"]

"""Functions of every sort inside a run or a step: plain, async, and generators of both sorts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast

from upshot.sdk.scope import NullScope, Scope

P = ParamSpec("P")
R = TypeVar("R")

#: Makes the scope of one call from its arguments; None where the call has none.
Making = Callable[[tuple[Any, ...], dict[str, Any]], Scope | None]
#: Takes the result of a call, while the scope is open.
Result = Callable[[Scope, Any], None]
#: Results known without a slow look for `__await__`.
_NOT_AWAITABLE = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict))


def scoped(function: Callable[P, R], make: Making, result: Result) -> Callable[P, R]:
    """The same function; each call has a scope of its own, a generator's from its first item to its last."""
    return cast("Callable[P, R]", functools.wraps(function)(in_scopes(function, make, result)))


def in_scopes(function: Callable[..., Any], make: Making, result: Result) -> Callable[..., Any]:
    """The same without the function's name and docstring, for a single call."""
    if inspect.iscoroutinefunction(function):
        return _async(function, make, result)
    if inspect.isgeneratorfunction(function):
        return _stream(function, make)
    if inspect.isasyncgenfunction(function):
        return _async_stream(function, make)
    return _plain(function, make, result)


def _plain(function: Callable[..., Any], make: Making, result: Result) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        scope = make(args, kwargs)
        if scope is None:
            return function(*args, **kwargs)
        scope.open()
        try:
            given = scope.inside(lambda: scope.stand_in(function)(*args, **kwargs))
        except BaseException as error:
            scope.finish(error)
            raise
        # A plain function may well return a coroutine: a partial, a lambda, a callable object.
        if type(given) not in _NOT_AWAITABLE and inspect.isawaitable(given):
            return _awaited(scope, given, result)
        result(scope, given)
        scope.finish()
        return given

    return call


def _async(function: Callable[..., Any], make: Making, result: Result) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        scope = make(args, kwargs)
        if scope is None:
            return await function(*args, **kwargs)
        async with scope:
            given = await scope.stand_in(function)(*args, **kwargs)
            result(scope, given)
            return given

    return call


async def _awaited(scope: Scope, awaitable: Any, result: Result) -> Any:
    try:
        given = await scope.inside_await(awaitable)
    except BaseException as error:
        scope.finish(error)
        raise
    scope.awaited = True
    result(scope, given)
    scope.finish()
    return given


def _stream(function: Callable[..., Any], make: Making) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        scope = make(args, kwargs) or NullScope()
        scope.open()
        try:
            source: Generator[Any, Any, Any] = scope.inside(lambda: scope.stand_in(function)(*args, **kwargs))
            item = scope.inside(lambda: next(source))
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    scope.inside(source.close)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown into the source, which decides
                    item = scope.inside(functools.partial(source.throw, error))
                else:
                    item = scope.inside(functools.partial(source.send, sent))
        except StopIteration as end:
            scope.finish()
            return end.value
        except BaseException as error:
            scope.finish(error)
            raise

    return call


def _async_stream(function: Callable[..., Any], make: Making) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        scope = make(args, kwargs) or NullScope()
        scope.open()
        try:
            source: AsyncGenerator[Any, Any] = scope.inside(lambda: scope.stand_in(function)(*args, **kwargs))
            item = await scope.inside_await(anext(source))
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await scope.inside_await(source.aclose())
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown into the source, which decides
                    item = await scope.inside_await(source.athrow(error))
                else:
                    item = await scope.inside_await(source.asend(sent))
        except StopAsyncIteration:
            scope.finish()
        except BaseException as error:
            scope.finish(error)
            raise

    return call


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by the names of its parameters."""
    try:
        return dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return {"args": args, "kwargs": kwargs}


__all__ = ["Making", "Result", "arguments_of", "in_scopes", "scoped"]

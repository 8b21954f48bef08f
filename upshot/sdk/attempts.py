"""Calling again after an error: each attempt in a scope of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def repeated(calls: Sequence[Callable[P, R]]) -> Callable[P, R]:
    """The first of `calls`; after an Exception the next call, with the same arguments, at once.

    Plain and async functions alone: of generators only the first is used.
    """
    first = calls[0]
    if len(calls) == 1 or inspect.isgeneratorfunction(first) or inspect.isasyncgenfunction(first):
        return first

    def call(*args: Any, **kwargs: Any) -> Any:
        for one in calls[:-1]:
            try:
                return one(*args, **kwargs)
            except Exception:  # noqa: BLE001 - told of by this attempt's scope; the last attempt raises
                continue
        return calls[-1](*args, **kwargs)

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        asyncs = cast("Sequence[Callable[..., Any]]", calls)
        for one in asyncs[:-1]:
            try:
                return await one(*args, **kwargs)
            except Exception:  # noqa: BLE001 - as above
                continue
        return await asyncs[-1](*args, **kwargs)

    chosen: Callable[..., Any] = call_async if inspect.iscoroutinefunction(first) else call
    return cast("Callable[P, R]", functools.wraps(first)(chosen))


__all__ = ["repeated"]

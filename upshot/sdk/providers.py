"""Tracer providers of OpenTelemetry's SDK, and wrappers of such providers, such as Logfire's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeGuard

from opentelemetry.sdk.trace import TracerProvider

_followed: list[Callable[[TracerProvider], None]] = []


def inside(found: object) -> list[TracerProvider]:
    """The provider itself where of the SDK, else the providers inside, else itself if taking processors."""
    if isinstance(found, TracerProvider):
        return [found]
    held = [value for value in getattr(found, "__dict__", {}).values() if isinstance(value, TracerProvider)]
    if held:
        return held
    return [found] if takes_processors(found) else []


def takes_processors(found: object) -> TypeGuard[TracerProvider]:
    """Whether spans of a provider can be followed: the SDK's, or a provider with the SDK's methods."""
    return callable(getattr(found, "add_span_processor", None)) and callable(
        getattr(found, "get_tracer", None)
    )


def follow(tell: Callable[[TracerProvider], None]) -> None:
    """Call `tell` with each of the SDK's providers made from now on.

    OpenTelemetry has no such hook, and takes no second provider for the process: otherwise a provider made by
    a library for its own instrumentations couldn't be found.
    """
    if tell in _followed:
        return
    _followed.append(tell)
    if len(_followed) > 1:
        return
    make = TracerProvider.__init__

    @functools.wraps(make)
    def made(self: TracerProvider, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        for one in _followed:
            one(self)

    TracerProvider.__init__ = made  # type: ignore[method-assign]


__all__ = ["follow", "inside", "takes_processors"]

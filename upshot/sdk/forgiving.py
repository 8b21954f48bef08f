"""Calls with unrecordable values: such a call raises, or in production warns and the agent goes on."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("upshot")


class Forgiving(Protocol):
    """An app, a run or a step."""

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone; the setting `on_misuse`."""


def never_ends_the_agent(given: Any = None) -> Callable[[F], F]:
    """A recording method: where its owner forgives, errors become warnings, and the result is `given`.

    For methods without any code of the agent's.
    """

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def call(self: Forgiving, /, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:  # whatever it is: the agent's work is worth more
                if not self.forgives:
                    raise
                warn(f"{method.__name__}: {error}")
                return given

        return cast("F", call)

    return decorate


def raised_or_warned(owner: Forgiving, error: Exception) -> None:
    """Raise the error, or warn where the owner forgives: the caller then goes on with a usable value."""
    if not owner.forgives:
        raise error
    warn(str(error))


def warn(what: str) -> None:
    """Report an unrecorded call."""
    logger.warning("%s; the agent goes on, since UPSHOT_ON_MISUSE is warn", what)


__all__ = ["Forgiving", "never_ends_the_agent", "raised_or_warned", "warn"]

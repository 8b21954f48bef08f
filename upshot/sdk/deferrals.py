"""Deferred work of an app: the deferrable code, and deferring from anywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload
from uuid import uuid4

from upshot.errors import Misuse
from upshot.followups.context import Followup
from upshot.followups.scorers import Scorer, names_at, registered
from upshot.otel.span import instant_of
from upshot.sdk.facts import deferral_message
from upshot.sdk.forgiving import never_ends_the_agent
from upshot.sdk.replaying import EventSink

T = TypeVar("T")
S = TypeVar("S", bound=bool | float | None)


class Deferrals:
    """The part of an app with the scorers."""

    clock: Callable[[], int]

    def __init__(self) -> None:
        super().__init__()
        #: The scorers, by name and version; the worker's role `followups` runs them.
        self.scorers: dict[tuple[str, str], Scorer[Any, Any]] = {}

    @property
    def event_sink(self) -> EventSink:
        """Where facts go."""
        raise NotImplementedError

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone."""
        raise NotImplementedError

    @overload
    def scorer(self, function: Callable[[Followup[T]], Coroutine[Any, Any, S]], /) -> Scorer[T, S]: ...
    @overload
    def scorer(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        version: str = "1",
        timeout: timedelta | None = None,
        attempts: int | None = None,
    ) -> Callable[[Callable[[Followup[T]], Coroutine[Any, Any, S]]], Scorer[T, S]]: ...
    def scorer(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: str = "1",
        timeout: timedelta | None = None,
        attempts: int | None = None,
    ) -> Any:
        """Make an async function deferrable work: `run.defer(function, data)`. See docs/followups.md.

        The function takes an `upshot.Followup` of its data's type; its result is the score of its name, None
        is no score. Changed code gets another `version` beside the old version, which goes on with its
        follow-ups. `timeout` limits one execution (waiting by its ctx doesn't count), 5 minutes where absent;
        `attempts` limits the tries where the execution fails. Raises Misuse.
        """
        register = functools.partial(
            registered,
            self.scorers,
            name=name,
            version=version,
            timeout=timeout,
            attempts=attempts,
            scope=names_at(1),
        )
        return register if function is None else register(function)

    @never_ends_the_agent("")
    def defer(
        self,
        run_id: str,
        scorer: Scorer[T, Any],
        data: T,
        *,
        step_id: str | None = None,
        key: str | None = None,
        agent: str | None = None,
        since: datetime | None = None,
    ) -> str:
        """Leave work on a run for later from anywhere, by its id; see `Run.defer`. Gives the follow-up's id.

        Events count from `since` on, from now where absent.
        """
        message, identity = deferral_message(
            scorer,
            data,
            call=uuid4().hex,
            run_id=run_id,
            step_id=step_id,
            key=key,
            agent=agent,
            deferred_at=instant_of(self.clock()),
            since=with_offset("since", since),
        )
        self.event_sink.fact(message)
        return identity


def with_offset(name: str, given: datetime | None) -> datetime | None:
    """An instant given by the program. Raises Misuse for an instant without an offset."""
    if given is not None and not isinstance(given, datetime):
        raise Misuse(f"{name}={given!r:.100} is no datetime; write datetime.now(UTC)")
    if given is not None and given.tzinfo is None:
        raise Misuse(f"{name}={given!r} has no offset; write datetime.now(UTC), or {name}.astimezone(UTC)")
    return given


__all__ = ["Deferrals", "with_offset"]

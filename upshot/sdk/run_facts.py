"""Facts recorded by code about its run: scores, waits and deferrals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from upshot.followups.scorers import Scorer
from upshot.otel.span import instant_of
from upshot.schemas.waits import Mode
from upshot.sdk.facts import (
    Says,
    checked_names,
    deferral_message,
    score_message,
    wait_cancellation_message,
    wait_message,
)
from upshot.sdk.forgiving import never_ends_the_agent
from upshot.sdk.replaying import EventSink
from upshot.sdk.scope import Scope
from upshot.sdk.values import plain_value
from upshot.sdk.waits import WaitId, subject_of

if TYPE_CHECKING:
    from upshot.sdk.app import App

D = TypeVar("D")


class RunFacts(Scope):
    """The part of a run for recording facts about the run: each fact is safe once its method returns."""

    app: App
    agent: str
    #: The place in the trace for an id of the caller's own; other ids hold the place themselves.
    _trace: dict[str, str]

    @property
    def id(self) -> str:
        """The run's id."""
        raise NotImplementedError

    @property
    def started_at(self) -> datetime:
        """From when outcomes count."""
        raise NotImplementedError

    @property
    def event_sink(self) -> EventSink:
        """Where the run's events go."""
        raise NotImplementedError

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone."""
        raise NotImplementedError

    @property
    def _marks(self) -> Mapping[str, Any]:
        """Further fields of the run's events."""
        raise NotImplementedError

    @property
    def exposures(self) -> list[dict[str, Any]] | None:
        """The variants given to the run so far, as waits, deferrals and scores carry them; None for none."""
        raise NotImplementedError

    def now_ns(self) -> int:
        """The app's clock: nanoseconds since 1970."""
        raise NotImplementedError

    def _call_number(self) -> str:
        """Distinguishes the deferrals of a run."""
        raise NotImplementedError

    @never_ends_the_agent()
    def score(
        self,
        name: str,
        value: bool | float,
        *,
        comment: str | None = None,
        source: str | None = None,
        key: str | None = None,
    ) -> None:
        """Score this run. Scores of one name and `key` are one score, the latest counts.

        The score is safe once the call returns. Raises Misuse for an invalid score, SpoolFull.
        """
        self.give(name, value, comment=comment, source=source, key=key)

    @never_ends_the_agent("")
    def wait(
        self,
        name: str,
        subject: str,
        *,
        on: Mapping[str, Says] | Sequence[str],
        within: timedelta | str,
        otherwise: bool | float | None = None,
        mode: Mode = "first",
        wait_id: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Open a wait: outcomes of `subject` with a type in `on` become the score `name`. Returns its id.

        Each type in `on` has a constant or a path into the outcome (`"data.merged"`). Outcomes count from the
        run's start to now plus `within`; `otherwise` is the score if none did, None for no score. The wait is
        safe once the call returns. Raises Misuse for an inconsistent rule, SpoolFull.
        """
        message, identity = wait_message(
            run_id=self.id,
            name=name,
            subject=subject,
            on=on,
            within=within,
            otherwise=otherwise,
            mode=mode,
            wait_id=wait_id,
            agent=self.agent or None,
            opened_at=instant_of(self.now_ns()),
            since=self.started_at,
            exposures=self.exposures,
            attributes={**self._trace, **checked_names(attributes or {})} or None,
        )
        if otherwise is not None:
            self.app.agree(name, plain_value(otherwise, name))
        self.event_sink.fact(message)
        return WaitId(identity, subject)

    @never_ends_the_agent()
    def cancel_wait(self, wait_id: str, *, subject: str | None = None) -> None:
        """End an unneeded wait: without a score, unless a score was decided by now. See `App.cancel_wait`.

        `wait_id` is the result of `wait`; for a plain text give the `subject`, too. The cancellation is safe
        once the call returns. Raises Misuse, SpoolFull.
        """
        at = instant_of(self.now_ns())
        message = wait_cancellation_message(
            subject=subject_of(wait_id, subject), wait_id=str(wait_id), run_id=self.id, cancelled_at=at
        )
        self.event_sink.fact(message)

    @never_ends_the_agent("")
    def defer(self, scorer: Scorer[D, Any], data: D, *, key: str | None = None) -> str:
        """Leave work on this run for later: a worker runs `scorer` with `data`. Returns the follow-up's id.

        Each call is a follow-up of its own; follow-ups of one scorer and `key` are the same, the first
        counts. Events count for the follow-up from the run's start. The deferral is safe once the call
        returns. Raises Misuse for data of another type than the scorer's, SpoolFull.
        """
        return self.leave(scorer, data, key=key)

    def leave(self, scorer: Scorer[D, Any], data: D, *, key: str | None, step_id: str | None = None) -> str:
        """Defer work on the run or one of its steps. Raises Misuse, SpoolFull."""
        message, identity = deferral_message(
            scorer,
            data,
            call=self._call_number(),
            run_id=self.id,
            step_id=step_id,
            key=key,
            agent=self.agent or None,
            deferred_at=instant_of(self.now_ns()),
            since=self.started_at,
            exposures=self.exposures,
            attributes=self._trace or None,
        )
        self.event_sink.fact(message)
        return identity

    def give(
        self, name: str, value: bool | float, *, step_id: str | None = None, **texts: str | None
    ) -> None:
        """Score the run or one of its steps. Raises Misuse, SpoolFull."""
        value = plain_value(value, name)
        message = score_message(
            run_id=self.id,
            step_id=step_id,
            name=name,
            value=value,
            agent=self.agent or None,
            decided_at=instant_of(self.now_ns()),
            exposures=self.exposures,
            attributes={**self._trace, **self._marks} or None,
            **{"source": self.app.name, **{key: text for key, text in texts.items() if text is not None}},
        )
        self.app.agree(name, value)
        self.event_sink.fact(message)


__all__ = ["RunFacts"]

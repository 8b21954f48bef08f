"""A run: one execution of an agent, with its steps, scores and waits."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer, set_span_in_context

from upshot.errors import Misuse, SpoolFull
from upshot.experiments.assignment import Assigned, Decision
from upshot.otel.calls import Counting
from upshot.otel.reading import LONGEST_CONTENT
from upshot.otel.runs import run_id_of
from upshot.otel.span import instant_of
from upshot.schemas.exposures import Exposure
from upshot.schemas.runs import RunStatus
from upshot.sdk.calls import arguments_of, in_scopes
from upshot.sdk.context import replay_in, run_in, with_run
from upshot.sdk.facts import as_text, checked_names, run_message
from upshot.sdk.forgiving import never_ends_the_agent, raised_or_warned
from upshot.sdk.replaying import EventSink, Replaying
from upshot.sdk.run_facts import RunFacts
from upshot.sdk.scope import Ending, set_on
from upshot.sdk.steps import Step
from upshot.sdk.termination import unwatch, watch
from upshot.sdk.tracing import began_run, ended_run, span_id_of, trace_id_of
from upshot.streams.events.outgoing import OutgoingEvent, outgoing

if TYPE_CHECKING:
    from upshot.sdk.app import App

D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("upshot")

STATUSES: Mapping[Ending, RunStatus] = {"ok": "completed", "error": "failed", "cancelled": "cancelled"}


class Run(RunFacts):
    """A run of an agent, made by `app.run(agent)` or `@app.agent`; lasts for the length of its `with`."""

    _noun = "run"

    def __init__(
        self,
        app: App,
        agent: str,
        *,
        run_id: str | None,
        version: str | None,
        session_id: str | None,
        attributes: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.app = app
        self.agent = agent
        self.version = version
        self.session_id = session_id
        self.parent_run_id: str | None = None
        #: Set where this run is made again; see `upshot.replays`.
        self.replaying: Replaying | None = replay_in(None)
        self._id = run_id
        self._attributes: dict[str, Any] = {}
        self.set_attributes(attributes)
        self._content: dict[str, str] = {}
        #: The variants chosen, by experiment and unit: a second `choose` gives the same.
        self.chosen: dict[tuple[str, str | None], Decision] = {}
        self._started_ns = 0
        self._span_id = ""
        self._tracer: Tracer | None = None
        #: The place in the trace for an id of the caller's own; other ids hold the place themselves.
        self._trace: dict[str, str] = {}
        self._deferred = count(1)
        self._left_open = False
        #: Of each name below each span, the id of the last step: further attempts share the id.
        self._last_step: dict[tuple[str, str], str] = {}
        #: Step ids of spans whose step has another id than the span.
        self._step_ids: dict[str, str] = {}
        #: Whose usage has counted so far; used by the delivery's thread alone.
        self.counting = Counting()

    @property
    def id(self) -> str:
        """The run's id; keep the id to score the run later. Raises Misuse before the run began."""
        self._opened()
        assert self._id is not None
        return self._id

    @property
    def started_at(self) -> datetime:
        """When the run began. Raises Misuse before the beginning."""
        self._opened()
        return instant_of(self._started_ns)

    @property
    def traceparent(self) -> str:
        """The run's place in its trace, as W3C's header `traceparent`. Raises Misuse before the run began."""
        self._opened()
        trace_id = self._trace.get("trace_id") or (self._id or "").partition("-")[0]
        return f"00-{trace_id}-{self._span_id}-01"

    @property
    def carrier(self) -> dict[str, str]:
        """The input of `app.attach`, to go on with this run elsewhere: headers of a request, or a task's."""
        return {"upshot-run-id": self.id, "traceparent": self.traceparent}

    def leave_open(self) -> str:
        """Let the run go on elsewhere: this `with` doesn't end the run. Returns the id for `app.attach`.

        The code attaching the run with `ends=True` ends the run.
        """
        self._left_open = True
        return self.id

    def __repr__(self) -> str:
        of = f" of {self.agent}" if self.agent else ""
        if self._id is None:
            return f"<run{of}, not begun>"
        return f"<run {self._id}{of}, see {self.app.settings.public_url.rstrip('/')}>"

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone; never in a replay, which has to stop."""
        return self.app.forgives and self.replaying is None

    @never_ends_the_agent()
    def set_attribute(self, name: str, value: Any) -> None:
        """Note a fact about this run, such as the language of the task."""
        self.set_attributes({name: value})

    @never_ends_the_agent()
    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Note facts about this run."""
        self._attributes |= checked_names(attributes)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The facts noted about this run so far."""
        return self._attributes

    @property
    def exposures(self) -> list[dict[str, Any]] | None:
        """See RunFacts."""
        if not self.chosen or self.replaying is not None:
            return None
        return [
            {"experiment": name, "variant": one.variant, "phase": one.phase}
            | ({} if one.probability is None else {"probability": one.probability})
            for (name, _), one in self.chosen.items()
            if isinstance(one, Assigned)
        ] or None

    def exposed_elsewhere(self, exposures: Iterable[Exposure]) -> None:
        """Record variants given by another system; in a replay they are left out. The agent never fails."""
        for one in exposures if self.replaying is None else ():
            unit = one.unit or self.id
            if (one.experiment, unit) not in self.chosen:
                try:
                    self.event_sink.fact(outgoing("exposures", self.id, one))
                except SpoolFull as full:
                    logger.warning("an exposure of experiment %r is lost: %s", one.experiment, full)
                    continue
                given = Assigned(one.variant, unit, one.phase, one.strategy, one.probability)
                self.chosen[one.experiment, unit] = given

    def not_exposed(self, experiment: str, because: str) -> None:
        """Note with the run's end why an experiment gave the control without an exposure."""
        noted = self._attributes.setdefault("upshot.not_exposed", {})
        if isinstance(noted, dict):
            noted[experiment] = because

    @property
    def event_sink(self) -> EventSink:
        """Where the run's events go."""
        return self.app.delivery if self.replaying is None else self.replaying.event_sink

    @property
    def arguments(self) -> str | None:
        """The arguments of the run's call, as JSON, where content is wanted."""
        return self._content.get("input") if self.is_call else None

    def gave(self, result: Any) -> None:
        """Keep the result of the run's call."""
        self.set_output(result)

    @never_ends_the_agent()
    def set_input(self, value: Any) -> None:
        """Keep the agent's input, as text or JSON, whatever the app's setting for content."""
        self._content["input"] = as_text(value)[:LONGEST_CONTENT]

    @never_ends_the_agent()
    def set_output(self, value: Any) -> None:
        """Keep the agent's output, as text or JSON, whatever the app's setting for content."""
        self._content["output"] = as_text(value)[:LONGEST_CONTENT]

    @overload
    def step(
        self,
        name: str,
        /,
        *,
        kind: str = "",
        attempt: int = 1,
        attributes: Mapping[str, Any] | None = None,
        side_effects: bool = False,
    ) -> Step: ...
    @overload
    def step(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def step(
        self, name: str, function: Callable[..., Any] | None = None, /, *args: Any, **kwargs: Any
    ) -> Any:
        """A step to use in a `with`; or call `function` as a step and return the function's result.

        An async function is awaited: `await run.step("draft", draft, ticket)`. `attempt` counts the tries at
        one thing from 1: attempts of one name at one place share their step id. `side_effects` marks code
        with an effect outside: a replay asks before running the code of the `with`.
        """
        if function is None:
            return Step(self, name, **kwargs)
        if not callable(function):
            error = Misuse(
                f"run.step({name!r}, …) needs the function and its arguments apart: write "
                f"run.step({name!r}, function, argument), not run.step({name!r}, function(argument))"
            )
            raised_or_warned(self, error)
            return function
        make = functools.partial(self.call_of, name, function)
        return in_scopes(function, make, self.app.keep_result)(*args, **kwargs)

    def call_of(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        **options: Any,
    ) -> Step:
        """The step for a call of `function`."""
        step = Step(self, name, **options)
        step.is_call = True
        if self.app.capture_content:
            step.given(arguments_of(function, args, kwargs))
        return step

    def now_ns(self) -> int:
        """The app's clock: nanoseconds since 1970."""
        return self.app.clock()

    def start_span(self, name: str, attributes: Mapping[str, Any]) -> tuple[Span, Context]:
        """A span inside this run, and its context: the current context where inside the run."""
        self._opened()
        here = otel.get_current()
        context = here if run_in(here) is self else self._context or here
        assert self._tracer is not None
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=self.app.clock())
        return span, context

    def step_id_of(self, span: Span, name: str, attempt: int, around: Step | None) -> str:
        """The step id for a span: the span's own, or for further attempts the id of the first attempt.

        `around` is the step around the span.
        """
        place = (around.id if around is not None and around.run is self else "", name)
        own = span_id_of(span)
        if attempt > 1 and place in self._last_step:
            self._step_ids[own] = self._last_step[place]
            return self._last_step[place]
        self._last_step[place] = own
        return own

    def place_of(self, span_id: str) -> str | None:
        """The step id of a span of this run; None for the run's own span."""
        return None if span_id == self._span_id else self._step_ids.get(span_id, span_id)

    def _begin(self) -> tuple[Span, Context]:
        around = run_in(None)
        if around is not None:
            self.parent_run_id = around.id
            self.counting = around.counting
        self._started_ns = self.now_ns()
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": self.agent}
        self._tracer = self.app.tracer
        span = self._tracer.start_span(
            f"invoke_agent {self.agent}", attributes=attributes, start_time=self._started_ns
        )
        trace_id, self._span_id = trace_id_of(span), span_id_of(span)
        began_run(self, self._span_id)
        if self._id is None:
            self._id = run_id_of(trace_id, self._span_id)
        else:
            self._trace = {"trace_id": trace_id, "span_id": self._span_id}
            self._attributes |= self._trace
            if self.replaying is None:
                self.app.delivery.run_ids.used(self._id)
        span.set_attribute("upshot.run_id", self._id)
        self._attributes |= self._marks
        return span, with_run(self, set_span_in_context(span, otel.get_current()))

    def _began(self) -> None:
        if self.replaying is not None:
            self.replaying.entered(self)
        watch(self)
        message = run_message(**self._known(), status="running")
        self.event_sink.telemetry(lambda: message)

    def _end(self, span: Span, ending: Ending, error: BaseException | None) -> None:
        unwatch(self)
        ended = self.now_ns()
        set_on(span, self._attributes)
        span.end(ended)
        ended_run(self, self._span_id)
        if self._left_open:
            self._tell_end(run_message(**self._known(), **self._content, occurred_at=instant_of(ended)))
            return
        message = run_message(
            **self._known(),
            **self._content,
            status=STATUSES[ending],
            ended_at=instant_of(ended),
            occurred_at=instant_of(ended),
            error=error_text(error),
        )
        self._tell_end(message)

    def _tell_end(self, message: OutgoingEvent) -> None:
        try:
            self.event_sink.fact(message)
        except SpoolFull as full:
            # The agent has done its work and must not fail for a full spool. Delivered.not_recorded counts.
            logger.error("the end of run %s: %s", self._id, full)

    def _call_number(self) -> str:
        return str(next(self._deferred))

    @property
    def _marks(self) -> Mapping[str, Any]:
        return {} if self.replaying is None else self.replaying.marks

    def _known(self) -> dict[str, Any]:
        return {
            "run_id": self._id,
            "agent": self.agent,
            "version": self.version,
            "session_id": self.session_id,
            "parent_run_id": self.parent_run_id,
            "origin": None if self.replaying is None else "replay",
            "started_at": instant_of(self._started_ns),
            "attributes": self._attributes or None,
        }


def error_text(error: BaseException | None) -> str | None:
    """The text of the error at the end of a run."""
    options = "" if error is None else f"{type(error).__name__}: {error}".removesuffix(": ")
    return options[:10_000] or None


__all__ = ["STATUSES", "Run", "error_text"]

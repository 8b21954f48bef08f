"""The app: where an agent's program begins with Upshot."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ParamSpec, TypeVar, overload

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from upshot.errors import Misuse
from upshot.otel.allowed import RequestedAttributes, asked_for
from upshot.otel.prices import Prices, price_table
from upshot.otel.span import instant_of
from upshot.sdk.alerts import AlertRules
from upshot.sdk.attached import AttachedRun
from upshot.sdk.attempts import repeated
from upshot.sdk.calls import arguments_of, scoped
from upshot.sdk.context import remember, replay_in, run_in
from upshot.sdk.declaring import Experiments
from upshot.sdk.deferrals import Deferrals
from upshot.sdk.delivery import Delivery, open_spool
from upshot.sdk.facts import score_message, wait_cancellation_message
from upshot.sdk.forgiving import never_ends_the_agent, raised_or_warned
from upshot.sdk.outcomes import Outcomes
from upshot.sdk.replaying import EventSink
from upshot.sdk.run_ids import RunIds
from upshot.sdk.runs import Run
from upshot.sdk.scope import Scope
from upshot.sdk.sender import Delivered
from upshot.sdk.steps import Step
from upshot.sdk.tracing import SCOPE, install, provider
from upshot.sdk.transport import KafkaTransport, Transport
from upshot.sdk.values import plain_value
from upshot.sdk.waits import subject_of
from upshot.settings import Settings, load_settings

P = ParamSpec("P")
R = TypeVar("R")
Clock = Callable[[], int]


#: Attributes asked by Celery of an app found in a module.
_CELERYS = frozenset(
    (
        "conf",
        "loader",
        "main",
        "set_current",
        "set_default",
        "tasks",
        "user_options",
        "worker_main",
        "Worker",
        "Beat",
    )
)


class NotThatApp(Misuse, AttributeError):
    """Another library takes our app for its own."""


class App(AlertRules, Deferrals, Outcomes, Experiments):
    """Records runs, steps, scores and outcomes, and opens waits for outcomes.

    `name` is the source of the app's events. `version` is the version of agents without a version of their
    own. `capture_content` keeps inputs and outputs of agents, steps and model calls, which may be personal
    data. `prices` replaces the price table. `settings` are read from the environment where absent.
    `transport` and `clock` (nanoseconds since 1970) are for tests.

    Raises ConfigurationError where a setting is wrong. Nothing is connected before the first event; an agent
    never waits for Kafka, and never fails because Kafka is away.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str | None = None,
        capture_content: bool = False,
        prices: Prices | None = None,
        settings: Settings | None = None,
        transport: Callable[[], Transport] | None = None,
        clock: Clock = time.time_ns,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise Misuse('an app needs a name; write upshot.App("support")')
        super().__init__()
        self.name = name
        self.version = version
        self.capture_content = capture_content
        self.clock = clock
        self.settings = settings or load_settings()
        #: The functions with `@app.agent`, by agent and version: a replay calls them.
        self.agents: dict[tuple[str, str | None], Callable[..., Any]] = {}
        self._prices = prices
        #: Attributes of other people's spans to keep beside known facts.
        self.asked: RequestedAttributes = asked_for(self.settings.span_attributes.split(","))
        self._kinds: dict[str, str] = {}
        self._provider: TracerProvider | None = None
        self._tracer: tuple[TracerProvider, Tracer] | None = None
        self._transport = transport
        self.delivery = self._delivery()
        self.prepare_experiments(self.settings, follow=transport is None)
        remember(self)

    @overload
    def agent(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def agent(
        self, function: None = None, /, *, name: str | None = None, version: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def agent(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        version: str | None = None,
    ) -> Any:
        """Make each call of a function a run: plain or async, generators too. Its name names the agent."""
        if function is None:
            return functools.partial(self._agent, name=name, version=version)
        return self._agent(_function(function, "@app.agent"), name=name, version=version)

    @overload
    def step(self, function: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def step(
        self,
        function: None = None,
        /,
        *,
        name: str | None = None,
        kind: str = "",
        attempts: int = 1,
        side_effects: bool = False,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
    def step(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        kind: str = "",
        attempts: int = 1,
        side_effects: bool = False,
    ) -> Any:
        """Make each call of a function a step of the surrounding run; outside of a run just a call.

        `kind` is `model`, `tool`, `retrieval` or another word. A call with an error is made again at once
        until `attempts` are used up (not of generators); each attempt is recorded. `side_effects` marks calls
        with an effect outside, such as sending a mail: a replay asks before making such a call.
        """
        made = functools.partial(
            self._step, name=name, kind=kind, attempts=attempts, side_effects=side_effects
        )
        return made if function is None else made(_function(function, "@app.step"))

    def run(
        self,
        agent: str | None = None,
        *,
        run_id: str | None = None,
        version: str | None = None,
        session_id: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Run:
        """A run to use in a `with` or `async with`. Inside another run, the outer run is the parent.

        `agent` is the app's name where absent. The id is taken from the run's span (`<trace id>-<span id>`)
        unless `run_id` gives another id, which must be unique. `session_id` is the conversation of the run.
        """
        if agent is not None and not isinstance(agent, str):
            raised_or_warned(
                self, Misuse('app.run takes the agent\'s name; write `with app.run("support") as run:`')
            )
            agent = None
        return Run(
            self,
            agent or self.name,
            run_id=run_id,
            version=version or self.version,
            session_id=session_id,
            attributes=attributes or {},
        )

    def attach(
        self,
        run_id: str | Mapping[str, str],
        *,
        traceparent: str | None = None,
        agent: str | None = None,
        started_at: datetime | None = None,
        ends: bool = False,
    ) -> AttachedRun:
        """Go on with a run begun elsewhere, in a `with`: steps, scores, waits and deferrals are the run's.

        `run_id` is the run's id (`run.id`), its `traceparent`, or its `carrier`, which holds both. Outcomes
        count from `started_at` on where given, else from now. The end of the run is recorded where the run
        began, unless `ends` is true: then the run ends here, and `run.leave_open()` is called there. Raises
        Misuse.
        """
        return AttachedRun(
            self, run_id, traceparent=traceparent, agent=agent, started_at=started_at, ends=ends
        )

    @never_ends_the_agent()
    def score(
        self,
        run_id: str,
        name: str,
        value: bool | float,
        *,
        step_id: str | None = None,
        comment: str | None = None,
        source: str | None = None,
        key: str | None = None,
    ) -> None:
        """Score a run from anywhere, by its id, whether or not the run is known yet.

        Scores of one run, step, name and `key` are one score, the latest counts. The score is safe once the
        call returns. Numbers of numpy, torch, Decimal and Fraction count. Raises Misuse for an invalid score,
        SpoolFull.
        """
        value = plain_value(value, name)
        message = score_message(
            run_id=run_id,
            step_id=step_id,
            name=name,
            value=value,
            comment=comment,
            source=source or self.name,
            key=key,
            decided_at=instant_of(self.clock()),
        )
        self.agree(name, value)
        self.event_sink.fact(message)

    def cancel_wait(self, wait_id: str, *, subject: str | None = None) -> None:
        """End a wait from anywhere, by its id and its subject: the wait isn't needed any more.

        A wait undecided by now ends without a score, for the reason `cancelled`. A decided score stays.
        Cancelling twice, or before the wait was written, makes no difference. The cancellation is safe once
        the call returns. Raises Misuse, SpoolFull.
        """
        at = instant_of(self.clock())
        message = wait_cancellation_message(
            subject=subject_of(wait_id, subject), wait_id=str(wait_id), cancelled_at=at
        )
        self.event_sink.fact(message)

    def __getattr__(self, name: str) -> Any:
        if name in _CELERYS:
            raise NotThatApp(
                f"this is the upshot.App {self.__dict__.get('name')!r}, and Celery asks it for {name!r}: "
                "`celery -A tasks` takes whatever the module calls `app`; name Celery's own, `celery -A "
                "tasks:celery_app worker`, or call ours otherwise"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<app {self.name} at {self.settings.public_url.rstrip('/')}>"

    def use(self, settings: Settings) -> None:
        """Replace the settings given at the start; only before the app has sent anything."""
        self.settings = settings
        self.asked = asked_for(settings.span_attributes.split(","))
        self.delivery = self._delivery()
        self.prepare_experiments(settings, follow=self._transport is None)

    def instrument(self, tracer_provider: object = None) -> TracerProvider:
        """Take spans of instrumented libraries, inside runs, as steps; returns the tracer provider to use.

        The provider is `tracer_provider` where given, else the process's provider, set up where there is
        none. Without this call an existing provider of the process is extended all the same when the first
        run begins. Raises Misuse for a provider of another kind than OpenTelemetry's SDK.
        """
        chosen = install(tracer_provider)
        if tracer_provider is not None:
            self._provider = chosen
        return chosen

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until Kafka has everything, at most `timeout` seconds; whether Kafka has. The rest is kept."""
        return self.delivery.flush(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Flush, and let go of connection and spool; the end of the process calls `close` by itself.

        Where Kafka is away, closing doesn't take the time: facts stay on disk for the next process.
        """
        self.delivery.close(timeout)
        self.registry.close()

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone; see the setting `on_misuse`."""
        return self.settings.on_misuse == "warn"

    @property
    def delivered(self) -> Delivered:
        """Counts of the app's events so far, in this process."""
        return self.delivery.delivered

    @property
    def event_sink(self) -> EventSink:
        """Where events of this place in the code go."""
        replaying = replay_in(None)
        return self.delivery if replaying is None else replaying.event_sink

    @property
    def tracer(self) -> Tracer:
        """The tracer of the spans of runs and steps."""
        chosen = self._provider or provider()
        if self._tracer is None or self._tracer[0] is not chosen:
            self._tracer = (chosen, chosen.get_tracer(SCOPE))
        return self._tracer[1]

    @property
    def prices(self) -> Prices:
        """The price table; read at the first need, since reading takes a while."""
        if self._prices is None:
            self._prices = price_table()
        return self._prices

    def agree(self, name: str, value: bool | float) -> None:
        """Hold a score's name to its first kind in this process: a number or a boolean. Raises Misuse."""
        kind = "boolean" if isinstance(value, bool) else "number"
        if self._kinds.setdefault(name, kind) != kind:
            raise Misuse(
                f"score {name!r} was a {self._kinds[name]} before and {value!r} is a {kind}: it isn't "
                f"recorded; write {'True or False' if kind == 'number' else '1.0 or 0.0'}, or give the other "
                "one a name of its own"
            )

    def keep_result(self, scope: Scope, result: Any) -> None:
        """Keep the result of a call, where content is wanted."""
        if self.capture_content and isinstance(scope, Run | Step):
            scope.gave(result)

    def _delivery(self) -> Delivery:
        transport = self._transport or functools.partial(KafkaTransport, self.settings)
        spool = functools.partial(open_spool, self.settings.spool, self.settings.spool_bytes)
        return Delivery(transport, spool, RunIds(self.settings.data_dir))

    def _agent(self, function: Callable[P, R], *, name: str | None, version: str | None) -> Callable[P, R]:
        agent = name or _name_of(function)

        def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
            run = self.run(agent, version=version)
            run.is_call = True
            if self.capture_content:
                run.set_input(arguments_of(function, args, kwargs))
            return run

        made = scoped(function, make, self.keep_result)
        self.agents[agent, version or self.version] = made
        return made

    def _step(
        self,
        function: Callable[P, R],
        *,
        name: str | None,
        kind: str,
        attempts: int,
        side_effects: bool,
    ) -> Callable[P, R]:
        step_name = name or _name_of(function)
        if attempts < 1:
            raise Misuse(f"attempts={attempts} would never call it; write attempts=1 for a single try")

        def call(attempt: int) -> Callable[P, R]:
            options = {"kind": kind, "attempt": attempt, "side_effects": side_effects}

            def make(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
                run = run_in(None)
                return None if run is None else run.call_of(step_name, function, args, kwargs, **options)

            return scoped(function, make, self.keep_result)

        return repeated([call(attempt) for attempt in range(1, attempts + 1)])


def _function(function: Any, decorator: str) -> Callable[..., Any]:
    if callable(function):
        return function  # type: ignore[no-any-return]
    raise Misuse(f"{decorator} takes no {type(function).__name__}; write {decorator}(name={function!r})")


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


__all__ = ["App", "Clock"]

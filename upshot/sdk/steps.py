"""A step: one unit inside a run, and the scores and facts about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context

from upshot.errors import Misuse
from upshot.followups.scorers import Scorer
from upshot.sdk.context import step_in, with_step
from upshot.sdk.facts import as_json, as_text
from upshot.sdk.forgiving import never_ends_the_agent, raised_or_warned
from upshot.sdk.scope import Ending, Scope, set_on

if TYPE_CHECKING:
    from upshot.sdk.runs import Run

D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")

#: How the result of a call is kept: `text` unchanged, `json`, or `str`, which can't be read back.
RESULT = "upshot.result"
#: Set where the result had to be awaited, although the function isn't async.
AWAITED = "upshot.result_awaited"


class Step(Scope):
    """A step of `run`, made by `run.step(name)` or `@app.step`; lasts for the length of its `with`."""

    _noun = "step"

    def __init__(
        self,
        run: Run,
        name: str,
        *,
        kind: str = "",
        attempt: int = 1,
        attributes: Mapping[str, Any] | None = None,
        side_effects: bool = False,
    ) -> None:
        self.run = run
        self.replaying = run.replaying
        if not isinstance(name, str) or not name:
            raised_or_warned(self, Misuse('a step needs a name; write run.step("draft")'))
            name = "step"
        if attempt < 1:
            raised_or_warned(self, Misuse(f"attempt={attempt} is no attempt: the first one is 1"))
            attempt = 1
        self.name = name
        self.kind = kind
        self.attempt = attempt
        self.side_effects = side_effects
        self._first: dict[str, Any] = dict(attributes) if attributes else {}
        self._id = ""

    @property
    def id(self) -> str:
        """The id, unique in the run, shared by attempts at one thing. Raises Misuse before the step began."""
        self._opened()
        return self._id

    def __repr__(self) -> str:
        return f"<step {self.name} {self._id or 'not begun'} of run {self.run.id}>"

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone."""
        return self.run.forgives

    @never_ends_the_agent()
    def set_attribute(self, name: str, value: Any) -> None:
        """Note a fact about this step."""
        self.set_attributes({name: value})

    @never_ends_the_agent()
    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Note facts about this step."""
        set_on(self._opened(), attributes)

    @never_ends_the_agent()
    def set_input(self, value: Any) -> None:
        """Keep the step's input, as text or JSON, whatever the app's setting for content."""
        self._opened().set_attribute("upshot.input", as_text(value))

    def given(self, arguments: Mapping[str, Any]) -> None:
        """Keep the arguments of the step's call; before the step begins."""
        self._first["upshot.input"] = as_text(arguments)

    @property
    def arguments(self) -> str | None:
        """The arguments of the step's call, as JSON, where content is wanted."""
        return self._first.get("upshot.input")

    def gave(self, result: Any) -> None:
        """Keep the result of the step's call, in a form with its exact value."""
        stored = result if isinstance(result, str) else as_json(result)
        self.set_output(result if stored is None else stored)
        how = "text" if stored is result else "str" if stored is None else "json"
        self.set_attributes({RESULT: how, **({AWAITED: True} if self.awaited else {})})

    @never_ends_the_agent()
    def set_output(self, value: Any) -> None:
        """Keep the step's output, as text or JSON, whatever the app's setting for content."""
        self._opened().set_attribute("upshot.output", as_text(value))

    @never_ends_the_agent()
    def usage(
        self,
        *,
        model: str | None = None,
        provider: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        cache_write_input_tokens: int | None = None,
        reasoning_output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """State a model call's usage, where no instrumentation does. `input_tokens` includes cached tokens.

        `cost_usd` outranks every other source of the cost; without `cost_usd`, the cost follows from the
        price table.
        """
        attributes = {
            "upshot.model": model,
            "gen_ai.provider.name": provider,
            "upshot.input_tokens": input_tokens,
            "upshot.output_tokens": output_tokens,
            "upshot.cached_input_tokens": cached_input_tokens,
            "upshot.cache_write_input_tokens": cache_write_input_tokens,
            "upshot.reasoning_output_tokens": reasoning_output_tokens,
            "upshot.cost_usd": cost_usd,
        }
        self.set_attributes({name: value for name, value in attributes.items() if value is not None})

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
        """Score this step. Scores of one name and `key` are one score, the latest counts.

        The score is safe once the call returns. Raises Misuse for an invalid score, SpoolFull.
        """
        self.run.give(name, value, step_id=self.id, comment=comment, source=source, key=key)

    @never_ends_the_agent("")
    def defer(self, scorer: Scorer[D, Any], data: D, *, key: str | None = None) -> str:
        """Leave work on this step for later, see `Run.defer`: scores will be the step's. Returns its id."""
        return self.run.leave(scorer, data, key=key, step_id=self.id)

    def _begin(self) -> tuple[Span, Context]:
        span, context = self.run.start_span(self.name, {"upshot.kind": self.kind} if self.kind else {})
        self._id = self.run.step_id_of(span, self.name, self.attempt, step_in(context))
        if self.attempt > 1:
            span.set_attribute("upshot.attempt", self.attempt)
        if self._first:
            set_on(span, self._first)
        return span, with_step(self, set_span_in_context(span, context))

    def _began(self) -> None:
        if self.replaying is not None:
            self.replaying.entered(self)

    def _end(self, span: Span, ending: Ending, error: BaseException | None) -> None:
        span.end(self.run.app.clock())


__all__ = ["AWAITED", "RESULT", "Step"]

"""A run begun elsewhere and continued here: another process, another machine, after a person has answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context

from upshot.errors import Misuse
from upshot.otel.runs import run_id_of, trace_of
from upshot.otel.span import instant_of
from upshot.schemas.ids import fact_id
from upshot.sdk.context import with_run
from upshot.sdk.facts import run_message
from upshot.sdk.runs import STATUSES, Run, error_text
from upshot.sdk.scope import Ending

if TYPE_CHECKING:
    from upshot.sdk.app import App

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*")


class AttachedRun(Run):
    """A run begun elsewhere, made by `app.attach`; the code of its `with` is part of the run.

    The beginning of the run is not recorded here, and the end only with `ends=True`.
    """

    def __init__(
        self,
        app: App,
        run_id: str | Mapping[str, str],
        *,
        traceparent: str | None,
        agent: str | None,
        started_at: datetime | None,
        ends: bool,
    ) -> None:
        known, place = _meant(run_id, traceparent)
        super().__init__(app, agent or "", run_id=known, version=None, session_id=None, attributes={})
        self._place = place
        self._ends = ends
        self._began_at = started_at
        #: Deferrals are counted per run; deferrals of different processes must not be taken for the same.
        self._part = uuid4().hex

    @property
    def started_at(self) -> datetime:
        """From when outcomes count: the run's beginning, where given, else the instant of attaching."""
        return self._began_at or super().started_at

    def _begin(self) -> tuple[Span, Context]:
        self._started_ns = self.now_ns()
        self._tracer = self.app.tracer
        trace_id, self._span_id = self._place
        span = NonRecordingSpan(
            SpanContext(int(trace_id, 16), int(self._span_id, 16), is_remote=True, trace_flags=TraceFlags(1))
        )
        self._note_trace(trace_id)
        return span, with_run(self, set_span_in_context(span, otel.get_current()))

    def _began(self) -> None:
        """Nothing: the run began elsewhere."""

    def _call_number(self) -> str:
        return f"{self._part}-{super()._call_number()}"

    def _end(self, span: Span, ending: Ending, error: BaseException | None) -> None:
        fields: dict[str, Any] = {**self._content}
        if self._attributes:
            fields["attributes"] = self._attributes
        ended = instant_of(self.now_ns())
        if self._ends:
            fields |= {"status": STATUSES[ending], "ended_at": ended, "error": error_text(error)}
        if fields:
            self._tell_end(
                run_message(run_id=self._id, agent=self.agent or None, occurred_at=ended, **fields)
            )

    def _note_trace(self, trace_id: str) -> None:
        if trace_of(self._id or "") is None:
            self._trace = {"trace_id": trace_id, "span_id": self._span_id}


def _meant(run_id: Any, traceparent: Any) -> tuple[str, tuple[str, str]]:
    """The run's id, and the trace and span above the run's steps."""
    if isinstance(run_id, Mapping):
        names = {str(name).lower(): stated for name, stated in run_id.items()}
        traceparent = traceparent or names.get("traceparent")
        run_id = names.get("upshot-run-id") or traceparent
    if not isinstance(run_id, str) or not run_id:
        raise Misuse(
            f"app.attach takes a run's id, not {run_id!r:.100}: give on run.id, or run.carrier, to where the "
            "run goes on"
        )
    parent = _parsed(traceparent) if traceparent is not None else None
    if found := _TRACEPARENT.fullmatch(run_id):
        return run_id_of(found[1], found[2]), (found[1], found[2])
    # An id of the caller's own without a trace: all who go on with the run derive one trace from the id.
    made = fact_id("trace", run_id), fact_id("span", run_id)[:16]
    return run_id, parent or trace_of(run_id) or made


def _parsed(traceparent: Any) -> tuple[str, str]:
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if found is None:
        raise Misuse(
            f"{traceparent!r:.100} is no traceparent; it looks like 00-<32 hexadecimal digits>-<16>-01, as "
            "run.traceparent"
        )
    return found[1], found[2]


__all__ = ["AttachedRun"]

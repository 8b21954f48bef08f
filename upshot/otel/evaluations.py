"""Scores as OpenTelemetry's `gen_ai.evaluation.result` events, on the trace of their run where known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from upshot.otel import trace_of
from upshot.schemas.scores import Score
from upshot.version import __version__

EVENT = "gen_ai.evaluation.result"
#: Attributes of a run that name its trace, where its id doesn't.
TRACE_ID, SPAN_ID = "trace_id", "span_id"

_TRACE = re.compile(r"[0-9a-f]{32}")
_SPAN = re.compile(r"[0-9a-f]{16}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def request_of(records: Iterable[LogRecord]) -> ExportLogsServiceRequest:
    """The records as a single request of Upshot's."""
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add()
    logs.resource.attributes.append(_pair("service.name", "upshot"))
    scope = logs.scope_logs.add()
    scope.scope.name, scope.scope.version = "upshot", __version__
    scope.log_records.extend(records)
    return request


def record_of(score: Score, recorded_at: datetime) -> LogRecord:
    """A revision of a score as an event; each revision is an event, and the latest number counts."""
    trace_id, span_id = place_in_trace(score)
    return LogRecord(
        event_name=EVENT,
        time_unix_nano=_nanoseconds(score.decided_at or recorded_at),
        observed_time_unix_nano=_nanoseconds(recorded_at),
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(span_id),
        attributes=[_pair(name, value) for name, value in _stated(score).items() if value is not None],
    )


def place_in_trace(score: Score) -> tuple[str, str]:
    """Trace id and span id in hexadecimal, empty where unknown.

    By the run's id (`<trace>-<span>` of the SDK's, the trace's of OTLP's), else by the attributes `trace_id`
    and `span_id`, which the score has from its wait. A score on a step is on the span of this step.
    """
    trace_id, span_id = trace_of(score.run_id) or ("", "")
    if not trace_id and _TRACE.fullmatch(score.run_id):
        trace_id = score.run_id
    if not trace_id:
        trace_id = _if(_TRACE, score.attributes.get(TRACE_ID))
        span_id = _if(_SPAN, score.attributes.get(SPAN_ID)) if trace_id else ""
    if trace_id and score.step_id:
        span_id = _if(_SPAN, score.step_id) or span_id
    return trace_id, span_id


def _if(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _stated(score: Score) -> dict[str, str | int | float | bool | None]:
    value, label = _value_and_label(score)
    return {
        "gen_ai.evaluation.name": score.name,
        "gen_ai.evaluation.score.value": value,
        "gen_ai.evaluation.score.label": label,
        "gen_ai.evaluation.explanation": score.comment,
        "gen_ai.agent.name": score.agent,
        "upshot.run_id": score.run_id,
        "upshot.step_id": score.step_id,
        "upshot.score_id": score.identity,
        "upshot.revision": score.revision,
        "upshot.reason": score.reason,
        "upshot.late": score.late,
        "upshot.subject": score.subject,
    }


def _value_and_label(score: Score) -> tuple[float | None, str | None]:
    """A boolean is 1 or 0 with its word; the reason explains an absent value."""
    if score.value is None:
        return None, score.reason
    if isinstance(score.value, bool):
        return float(score.value), "true" if score.value else "false"
    return score.value, None


def _pair(name: str, value: str | int | float | bool) -> KeyValue:
    match value:
        case bool():
            return KeyValue(key=name, value=AnyValue(bool_value=value))
        case int():
            return KeyValue(key=name, value=AnyValue(int_value=value))
        case float():
            return KeyValue(key=name, value=AnyValue(double_value=value))
        case _:
            return KeyValue(key=name, value=AnyValue(string_value=value))


def _nanoseconds(instant: datetime) -> int:
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


__all__ = ["EVENT", "SPAN_ID", "TRACE_ID", "place_in_trace", "record_of", "request_of"]

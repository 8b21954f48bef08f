"""Evaluations of feature flags in log records are exposures; a bad record costs only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.otel_requests.otlp_requests import agent_run, as_protobuf
from upshot.errors import InvalidEvent
from upshot.otel.events import MappedSpans, exposures_of_logs
from upshot.otel.logs import read_logs, read_logs_json, read_logs_protobuf
from upshot.schemas.exposures import Exposure

TRACE = bytes(15) + b"\x01"
AT = 1_767_268_800_000_000_000
EVALUATION = {
    "feature_flag.key": "tone",
    "feature_flag.result.variant": "warm",
    "feature_flag.result.reason": "split",
    "feature_flag.context.id": "u1",
}


def record(
    facts: dict[str, str] = EVALUATION, name: str = "feature_flag.evaluation", **rest: Any
) -> LogRecord:
    pairs = [KeyValue(key=key, value={"string_value": text}) for key, text in facts.items()]  # type: ignore[arg-type]
    stated: dict[str, Any] = {
        "trace_id": TRACE,
        "time_unix_nano": AT,
        "event_name": name,
        "attributes": pairs,
    }
    return LogRecord(**(stated | rest))


def request(*records: LogRecord, **resource: str) -> ExportLogsServiceRequest:
    whole = ExportLogsServiceRequest()
    of_resource = whole.resource_logs.add()
    for key, text in resource.items():
        of_resource.resource.attributes.add(key=key.replace("__", ".")).value.string_value = text
    of_resource.scope_logs.add().log_records.extend(records)
    return whole


def both(whole: ExportLogsServiceRequest) -> list[bytes]:
    """The request in both encodings: ids in hexadecimal in JSON."""
    plain = MessageToDict(whole)
    for of_resource in plain["resourceLogs"]:
        for of_scope in of_resource["scopeLogs"]:
            for one, original in zip(
                of_scope["logRecords"], whole.resource_logs[0].scope_logs[0].log_records, strict=True
            ):
                one["traceId"] = original.trace_id.hex()
    return [whole.SerializeToString(), json.dumps(plain).encode()]


def exposures(found: MappedSpans) -> list[Exposure]:
    assert {event.topic for event in found.events} <= {"exposures"}
    return [Exposure.model_validate_json(event.value) for event in found.events]


@pytest.mark.parametrize("encoding", [0, 1])
class TestBothEncodings:
    def mapped(self, encoding: int, *records: LogRecord, **resource: str) -> MappedSpans:
        return exposures_of_logs(read_logs(both(request(*records, **resource))[encoding]))

    def test_an_evaluation_is_an_exposure_of_the_trace(self, encoding: int) -> None:
        found = self.mapped(encoding, record())
        [exposure] = exposures(found)
        assert (exposure.run_id, exposure.experiment, exposure.variant) == (TRACE.hex(), "tone", "warm")
        assert (exposure.unit, exposure.strategy, exposure.probability) == ("u1", "external", None)
        assert exposure.exposed_at is not None and exposure.exposed_at.timestamp() == AT / 1e9
        assert found.rejected == 0

    @pytest.mark.parametrize("place", ["record", "resource"])
    def test_a_run_may_be_named(self, encoding: int, place: str) -> None:
        stated = {"upshot.run_id": "run-7"}
        if place == "record":
            found = self.mapped(encoding, record(EVALUATION | stated, trace_id=b""))
        else:
            found = self.mapped(encoding, record(trace_id=b""), upshot__run_id="run-7")
        assert [exposure.run_id for exposure in exposures(found)] == ["run-7"]

    def test_older_forms_are_read(self, encoding: int) -> None:
        facts = {"feature_flag.key": "tone", "event.name": "feature_flag.evaluation"}
        older = record(facts, name="", time_unix_nano=0, observed_time_unix_nano=AT)
        older.body.kvlist_value.values.add(key="value").value.string_value = "warm"
        [exposure] = exposures(self.mapped(encoding, older))
        assert (exposure.variant, exposure.exposed_at is not None) == ("warm", True)

    def test_others_are_left_out_and_counted_by_reason(self, encoding: int) -> None:
        nameless = {name: text for name, text in EVALUATION.items() if name != "feature_flag.key"}
        static = EVALUATION | {"feature_flag.result.reason": "static"}
        found = self.mapped(
            encoding,
            record(name="gen_ai.choice"), record(trace_id=b""), record(nameless), record(static), record(),
        )  # fmt: skip
        assert len(exposures(found)) == 1
        assert (found.rejected, found.foreign) == (3, 1)
        for why in ("1 that are no evaluations", "1 without a run", "1 without a usable feature_flag.key"):
            assert why in found.why


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"traceId": "xyz"}, "with a trace id that is none"),
        ({"attributes": [{"key": 7}]}, "in which key is no text"),
        ({"timeUnixNano": str(2**64)}, "no whole number of 64 bits"),
        ({"attributes": [{"key": "a", "value": {"stringValue": "\ud83d"}}]}, "half an emoji"),
        (7, "an object is something else"),
    ],
)
def test_a_bad_record_costs_only_itself(bad: Any, why: str) -> None:
    plain = json.loads(both(request(record(), record()))[1])
    records = plain["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records[0] = records[0] | bad if isinstance(bad, dict) else bad
    found = exposures_of_logs(read_logs(json.dumps(plain).encode()))
    assert len(exposures(found)) == 1
    assert found.rejected == 1
    assert why in found.why


def test_a_bad_record_in_protobuf_costs_only_itself() -> None:
    whole = request(record(trace_id=b"short"), record())
    found = exposures_of_logs(read_logs(whole.SerializeToString()))
    assert (len(exposures(found)), found.rejected, "trace id" in found.why) == (1, 1, True)


@pytest.mark.parametrize("value", [b"\xff", b"{", b"[]", b'{"resourceLogs": 7}'])
def test_bytes_that_are_no_logs_are_refused(value: bytes) -> None:
    with pytest.raises(InvalidEvent):
        read_logs(value)


def test_spans_and_metrics_in_the_place_of_logs_are_sent_to_theirs() -> None:
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").sum.data_points.add(as_int=1)
    bare = ExportTraceServiceRequest()
    bare.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="n")
    for advice, bodies in {
        "spans at /v1/traces": (as_protobuf(agent_run()), bare.SerializeToString()),
        "OTEL_METRICS_EXPORTER=none": (metrics.SerializeToString(),),
    }.items():
        for body in bodies:
            with pytest.raises(InvalidEvent, match="no logs") as refused:
                read_logs_protobuf(body)
            assert advice in str(refused.value)
    for name, advice in (("resourceSpans", "at /v1/traces"), ("resource_metrics", "OTEL_METRICS_EXPORTER")):
        with pytest.raises(InvalidEvent, match=advice):
            read_logs_json(json.dumps({name: [{}]}).encode())
    assert read_logs_json(b'{"resourceLogs":[],"resourceSpans":[]}').spans == []

"""OTLP in both encodings gives the same spans, and spans give the events of a run."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otel_requests.otlp_requests import agent_run, as_json, as_protobuf, nameless
from upshot.errors import InvalidEvent
from upshot.otel import asked_for, unpriced
from upshot.otel.events import KNOWN_AS, events_of
from upshot.otel.otlp import read_json, read_protobuf, read_request
from upshot.schemas.runs import Run
from upshot.schemas.steps import Step
from upshot.streams.events.topics import TOPICS

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "otlp"


def told(value: bytes, *, with_content: bool = False) -> tuple[list[Run], list[Step]]:
    """The runs and steps of a request."""
    mapped = events_of(read_request(value), unpriced, with_content=with_content)
    runs = [Run.model_validate_json(event.value) for event in mapped.events if event.topic == "runs"]
    steps = [Step.model_validate_json(event.value) for event in mapped.events if event.topic == "steps"]
    assert all(event.key == run_id_of(event.value) for event in mapped.events)
    return runs, steps


def run_id_of(value: bytes) -> str:
    return str(msgspec.json.decode(value)["run_id"])


@pytest.mark.parametrize("fail", [False, True])
def test_both_encodings_say_the_same(fail: bool) -> None:
    spans = agent_run(fail)
    json = msgspec.json.encode(as_json(spans))
    found = read_protobuf(as_protobuf(spans))
    assert found == read_json(json) == read_request(json) == read_request(as_protobuf(spans))
    assert found.nameless == 0
    chat = next(span for span in found.spans if span.name.startswith("chat"))
    assert (chat.kind, chat.scope, chat.resource["service.version"]) == ("client", "my.agent", "1.2")
    assert chat.attributes["tags"] == ["a", "b"]
    assert (chat.attributes["rate"], chat.attributes["cached"]) == (0.5, False)


def test_a_trace_is_a_run_with_a_step_for_each_span() -> None:
    [run], steps = told(as_protobuf(agent_run()))
    assert (run.agent, run.version, run.status) == ("support", "1.2", "completed")
    by_kind = {step.kind: step for step in steps}
    assert by_kind.keys() == {"agent", "model", "tool"}
    assert {step.run_id for step in steps} == {run.run_id}
    assert {by_kind["model"].parent_step_id, by_kind["tool"].parent_step_id} == {by_kind["agent"].step_id}
    assert (by_kind["model"].input_tokens, by_kind["model"].input) == (900, None)


def test_a_failure_is_told() -> None:
    [run], steps = told(as_protobuf(agent_run(fail=True)))
    assert (run.status, run.error) == ("failed", "the tool failed")
    [tool] = [step for step in steps if step.kind == "tool"]
    assert (tool.status, tool.error, tool.error_type) == ("error", "no answer", "TimeoutError")


def test_content_is_kept_where_that_was_asked_for() -> None:
    _, steps = told(as_protobuf(agent_run()), with_content=True)
    assert [step.input for step in steps if step.kind == "model"] == ['[{"role":"user"}]']


def test_every_batching_gives_the_same_events() -> None:
    spans = agent_run()
    whole = told(as_protobuf(spans))
    parts = [told(as_protobuf([span])) for span in spans]
    assert [run for runs, _ in parts for run in runs] == whole[0]
    assert [step for _, steps in parts for step in steps] == whole[1]


def test_the_outermost_agent_is_what_remains_of_the_run() -> None:
    request = as_json(agent_run())
    [of_scope] = request["resourceSpans"][0]["scopeSpans"]
    outer = next(span for span in of_scope["spans"] if "parentSpanId" not in span)
    inner = {
        **outer,
        "spanId": "00000000000000aa",
        "parentSpanId": outer["spanId"],
        "name": "helper",
        "attributes": [{"key": "gen_ai.agent.name", "value": {"stringValue": "helper"}}],
        "endTimeUnixNano": str(int(outer["endTimeUnixNano"]) - 1_000_000),
    }
    of_scope["spans"].append(inner)
    runs, _ = told(msgspec.json.encode(request))
    assert max(runs, key=lambda run: str(run.ended_at)).agent == "support"
    assert {run.run_id for run in runs} == {outer["traceId"]}


def test_a_span_may_name_its_run() -> None:
    request = as_json(agent_run())
    request["resourceSpans"][0]["resource"]["attributes"].append(
        {"key": "upshot.run_id", "value": {"stringValue": "ticket-7"}}
    )
    runs, steps = told(msgspec.json.encode(request))
    assert {event.run_id for event in (*runs, *steps)} == {"ticket-7"}


def test_a_root_may_name_the_run_of_its_trace() -> None:
    """Its steps keep the trace's id, whatever batch they come in: the views show them under the root's."""
    request = as_json(agent_run())
    [of_scope] = request["resourceSpans"][0]["scopeSpans"]
    root = next(span for span in of_scope["spans"] if "parentSpanId" not in span)
    root["attributes"].append({"key": "upshot.run_id", "value": {"stringValue": "ticket-7"}})
    runs, steps = told(msgspec.json.encode(request))
    trace = root["traceId"]
    assert {step.name: step.run_id for step in steps} == {
        "invoke_agent support": "ticket-7",
        "chat gpt-4o-mini": trace,
        "execute_tool search": trace,
    }
    assert [(run.run_id, run.agent, run.attributes.get(KNOWN_AS)) for run in runs] == [
        ("ticket-7", "support", None),
        (trace, None, "ticket-7"),
    ]


def test_the_instrumentation_and_asked_attributes_are_kept() -> None:
    found = read_request(as_protobuf(agent_run()))
    mapped = events_of(found, unpriced, with_content=False, asked=asked_for(["ta*"]))
    steps = [Step.model_validate_json(event.value) for event in mapped.events if event.topic == "steps"]
    assert {step.attributes["otel.scope.name"] for step in steps} == {"my.agent"}
    [chat] = [step for step in steps if step.kind == "model"]
    assert chat.attributes == {
        "otel.scope.name": "my.agent",
        "rate": 0.5,
        "cached": False,
        "tags": ["a", "b"],
    }
    assert "user" not in str([event.value for event in mapped.events])


def test_examples_are_read() -> None:
    for path in EXAMPLES.glob("*.json"):
        assert read_request(path.read_bytes()).spans
        assert TOPICS["otlp"].schema.model_validate_json(path.read_bytes())
    [run], steps = told((EXAMPLES / "agent-run.json").read_bytes())
    assert (run.agent, run.run_id) == ("support", "5b8efff798038103d269b633813fc60c")
    assert [step.input_tokens for step in steps] == [None, 900]


def test_spans_without_ids_are_counted() -> None:
    mapped = events_of(read_request(nameless()), unpriced, with_content=False)
    assert (mapped.events, mapped.rejected) == ([], 1)
    assert "trace id" in mapped.why


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\xff\xff", "not_otlp"),
        (b"not a span", "not_otlp"),
        (b'{"resourceSpans": 5}', "not_otlp"),
        (b'{"resourceSpans":', "not_json"),
        (b'{"a":' * 5000, "not_json"),
        (b'{"resourceSpans":[{"resource":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}]}", "ignored"),
    ],
)
def test_what_is_no_otlp_is_refused(value: bytes, reason: str) -> None:
    if reason == "ignored":  # fields that nobody knows, however deep
        assert read_request(value).spans == []
        return
    with pytest.raises(InvalidEvent) as caught:
        read_request(value)
    assert caught.value.reason == reason


def otlp_of(value: Any) -> dict[str, Any]:
    """A value as OTLP's JSON has it."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [otlp_of(item) for item in value]}}
        case _:
            pairs = [{"key": key, "value": otlp_of(item)} for key, item in value.items()]
            return {"kvlistValue": {"values": pairs}}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_any_attributes_come_through_both_encodings(said: dict[str, Any]) -> None:
    attributes = [{"key": key, "value": otlp_of(value)} for key, value in said.items()]
    span: dict[str, Any] = {"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": attributes}
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    found = read_json(msgspec.json.encode(request)).spans
    assert [record.attributes for record in found] == [said]
    for name in ("traceId", "spanId"):
        span[name] = b64encode(bytes.fromhex(span[name])).decode()
    protobuf = ParseDict(request, ExportTraceServiceRequest()).SerializeToString()
    assert read_protobuf(protobuf).spans == found


@pytest.mark.parametrize(
    "value", [None, {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "3"}}]}}]
)
def test_unusual_values_are_read(value: Any) -> None:
    request = as_json(agent_run())
    span = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["attributes"] = [{"key": "odd", "value": value or {}}, {"key": "b", "value": {"bytesValue": "AQI="}}]
    found = read_json(msgspec.json.encode(request)).spans[0].attributes
    assert found == {"odd": {"k": 3} if value else None, "b": "AQI="}

"""A span that can't be read is left out and counted; its neighbours are taken, in either encoding."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from upshot.errors import InvalidEvent
from upshot.otel import unpriced
from upshot.otel.events import events_of
from upshot.otel.otlp import Spans, read_json, read_protobuf, read_request
from upshot.otel.request_reading import MAX_VALUES

TRACE = "5e6105d059325ed5d4f0d445d9e10fc3"
GOOD: dict[str, Any] = {
    "traceId": TRACE,
    "spanId": "03e04301b15a7969",
    "name": "good",
    "kind": 1,
    "startTimeUnixNano": "1795847400000000000",
    "endTimeUnixNano": "1795847401000000000",
    "attributes": [{"key": "a", "value": {"stringValue": "b"}}],
    "status": {},
}
ODD = GOOD | {"spanId": "8ddf878039b70767", "name": "odd"}


def request(*spans: Any) -> bytes:
    return as_bytes({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


def as_bytes(value: Any) -> bytes:
    return msgspec.json.encode(value)


def attribute(**value: Any) -> dict[str, Any]:
    return {"attributes": [{"key": "k", "value": value}]}


def names(found: Spans) -> list[str]:
    return [span.name for span in found.spans]


ABSENT: list[dict[str, Any]] = [
    {name: None}
    for name in (
        "parentSpanId",
        "kind",
        "startTimeUnixNano",
        "attributes",
        "events",
        "links",
        "status",
        "traceState",
    )
]


@pytest.mark.parametrize(
    "said",
    [
        *ABSENT,
        {"parentSpanId": ""},
        {"parentSpanId": "0" * 16},
        {"kind": "SPAN_KIND_CLIENT"},
        {"kind": 99},
        {"endTimeUnixNano": 1795847401000000000},
        {"status": {"code": "STATUS_CODE_ERROR", "message": None}},
        {"links": "whatever"},
        {"future": {"field": [1]}},
        attribute(),
        attribute(stringValue=None),
        attribute(doubleValue="NaN"),
        attribute(intValue="7"),
        attribute(intValue=7.0),
        attribute(bytesValue="-_8"),
    ],
    ids=str,
)
def test_what_the_encoding_allows_is_taken(said: dict[str, Any]) -> None:
    found = read_json(request(ODD | said, GOOD))
    assert names(found) == ["odd", "good"], found.left_out


WRONG: list[dict[str, Any]] = [
    *({"traceId": wrong} for wrong in ("", "xyz", "0" * 32, "XmEF0FkyXtXU8NRF2eEPww==", 5, [], "ab " * 16)),
    *({"spanId": wrong} for wrong in (None, "ab", "zz" * 8, {"a": 1}, True)),
    *({"parentSpanId": wrong} for wrong in ("ab", "zz" * 8, 5, ["03e04301b15a7969"])),
    *(
        {"startTimeUnixNano": wrong}
        for wrong in ([1795847400, 5], -1, 2**64, "2026-11-28", True, 1.5, "1" * 30)
    ),
    *({"endTimeUnixNano": wrong} for wrong in ([1795847400, 5], {}, "", "0x10")),
    *({"name": wrong} for wrong in (5, [], {})),
    *({"kind": wrong} for wrong in ("SPAN_KIND_UPSIDE_DOWN", [], 2**40, 1.5)),
    *({"status": wrong} for wrong in ("ok", [1], {"code": "STATUS_CODE_MAYBE"}, {"message": 5})),
    *({"events": wrong} for wrong in ("none", [5], [None], [{"timeUnixNano": [1, 2]}], [{"name": 1}])),
    *(
        {"attributes": wrong}
        for wrong in ("none", {"a": "b"}, [None], [{"key": 5}], [{"key": "a", "value": "b"}])
    ),
    *(
        attribute(intValue=wrong)
        for wrong in (2**63, "9223372036854775808", -(2**63) - 1, 10**40, "7.5", True, [])
    ),
    *(attribute(doubleValue=wrong) for wrong in ("many", True, {}, "1e999", "1_0")),
    *(attribute(stringValue=wrong) for wrong in (5, True, ["a"])),
    *(attribute(boolValue=wrong) for wrong in ("true", 1)),
    *(attribute(bytesValue=wrong) for wrong in ("*", 5)),
    *(attribute(arrayValue=wrong) for wrong in ([], {"values": 5}, {"values": ["a"]}, {"values": [None]})),
    *(attribute(kvlistValue=wrong) for wrong in ([], {"values": {"a": 1}})),
    attribute(stringValue="a", intValue=5),
]


@pytest.mark.parametrize("said", WRONG, ids=str)
def test_what_is_wrong_costs_that_span_alone(said: dict[str, Any]) -> None:
    found = read_json(request(GOOD, ODD | said, GOOD))
    assert names(found) == ["good", "good"]
    assert sum(found.left_out.values()) == 1


@pytest.mark.parametrize("wrong", [5, None, "span", [], True])
def test_what_is_no_object_costs_that_place_alone(wrong: Any) -> None:
    assert names(read_json(request(wrong, GOOD))) == ["good"]
    for of_resource in (wrong, {"scopeSpans": 5}, {"scopeSpans": [wrong or 5]}):
        body = {"resourceSpans": [of_resource, {"scopeSpans": [{"spans": [GOOD]}]}]}
        assert names(read_json(as_bytes(body))) == ["good"]


def test_a_resource_that_cannot_be_read_costs_its_own_spans() -> None:
    for wrong in ({"resource": {"attributes": 5}}, {"resource": "r"}):
        bad = wrong | {"scopeSpans": [{"spans": [ODD, ODD]}]}
        found = read_json(as_bytes({"resourceSpans": [bad, {"scopeSpans": [{"spans": [GOOD]}]}]}))
        assert (names(found), sum(found.left_out.values())) == (["good"], 2)
    named = {"scopeSpans": [{"scope": {"name": 5}, "spans": [ODD]}, {"spans": [GOOD]}]}
    assert names(read_json(as_bytes({"resourceSpans": [named]}))) == ["good"]


@pytest.mark.parametrize(
    "raw",
    [rb'"\ud83d"', rb'"\ude00\ud83d"', b'"\xff"', b'"\xed\xa0\x80"', b'"caf\xe9"'],
    ids=["half an emoji", "halves turned round", "no UTF-8", "a surrogate", "Latin-1"],
)
def test_text_that_is_not_unicode_costs_its_span(raw: bytes) -> None:
    for at in (b'"odd"', b'"b"', b'"a"'):
        bad = as_bytes(ODD).replace(at, raw)
        found = read_json(request(GOOD, "HERE").replace(b'"HERE"', bad))
        assert (names(found), sum(found.left_out.values())) == (["good"], 1)
    whole = b"\\ud83d\\ude00"
    found = read_json(request(GOOD, "HERE").replace(b'"HERE"', as_bytes(ODD).replace(b"odd", whole)))
    assert names(found) == ["good", "\N{GRINNING FACE}"]


@pytest.mark.parametrize("raw", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 100_000])
def test_what_is_no_number_costs_its_span(raw: bytes) -> None:
    for field in ('"doubleValue":', '"intValue":'):
        bad = as_bytes(ODD).replace(b'"stringValue":"b"', field.encode() + raw)
        found = read_json(request("HERE", GOOD).replace(b'"HERE"', bad))
        assert (names(found), sum(found.left_out.values())) == (["good"], 1)


def test_what_nobody_reads_may_be_any_number_beside_a_bad_span() -> None:
    for number in (b"99999999999999999999", b"1" * 5000, b"1e999", b"NaN"):
        fine = as_bytes(GOOD | {"future": "HERE"}).replace(b'"HERE"', number)
        bad = as_bytes(ODD).replace(b'"odd"', b'"\\ud83d"')
        found = read_json(request("A", "B").replace(b'"A"', fine).replace(b'"B"', bad))
        assert (names(found), sum(found.left_out.values())) == (["good"], 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES: list[list[Any]] = [
    *([name] for name in ODD),
    ["attributes", 0],
    ["attributes", 0, "key"],
    ["attributes", 0, "value"],
    ["attributes", 0, "value", "stringValue"],
    ["events"],
    ["parentSpanId"],
]


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_anywhere_in_a_span_its_neighbours_are_taken(place: list[Any], wrong: Any) -> None:
    odd = deepcopy(ODD)
    holder: Any = odd
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = wrong
    found = read_json(request(GOOD, odd))
    assert names(found)[0] == "good"
    assert len(found.spans) + sum(found.left_out.values()) == 2
    assert events_of(found, unpriced, with_content=True).events


def protobuf(*raw: bytes) -> bytes:
    """A request with these as its spans, whatever they are."""
    of_scope = b"".join(b"\x12" + varint(len(span)) + span for span in raw)
    of_resource = b"\x12" + varint(len(of_scope)) + of_scope
    return b"\x0a" + varint(len(of_resource)) + of_resource


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def span(**said: Any) -> bytes:
    ids = {"trace_id": bytes.fromhex(TRACE), "span_id": b"\x03" * 8, "name": "good"}
    return Span(**ids | said).SerializeToString()


@pytest.mark.parametrize(
    "bad",
    [
        span(name="latin").replace(b"latin", b"\xff\xfe\xfd\xfc\xfb"),
        span(trace_id=b"short"),
        span(span_id=b"longer than eight"),
        span(parent_span_id=b"abc"),
        span(trace_id=bytes(16)),
        b"",
        b"\xff\xff",
        b"\x0a\x7f",
    ],
    ids=str,
)
def test_a_bad_span_in_protobuf_costs_itself(bad: bytes) -> None:
    found = read_protobuf(protobuf(span(), bad, span()))
    assert (names(found), sum(found.left_out.values())) == (["good", "good"], 1)


@given(st.binary(max_size=60))
def test_whatever_bytes_a_span_has_its_neighbours_are_taken(bad: bytes) -> None:
    found = read_protobuf(protobuf(bad, span()))
    assert names(found)[-1] == "good"
    assert len(found.spans) + sum(found.left_out.values()) == 2


@given(st.binary(max_size=200))
def test_whatever_bytes_a_request_has_the_answer_is_in_words(value: bytes) -> None:
    try:
        read_request(value)
    except InvalidEvent as error:
        assert error.reason in ("not_otlp", "not_json", "too_large")


def test_a_resource_that_comes_twice_is_merged_as_protobuf_wants_it() -> None:
    whole = ExportTraceServiceRequest.FromString(protobuf(span())).resource_spans[0]
    parts = [b"\x0a" + varint(len(part)) + part for part in (pair("a"), pair("b"))]
    body = b"".join(parts) + whole.SerializeToString()
    [found] = read_protobuf(b"\x0a" + varint(len(body)) + body).spans
    assert found.resource == {"a": "1", "b": "1"}


def pair(key: str) -> bytes:
    value = b"\x0a\x011"
    inner = b"\x0a\x01" + key.encode() + b"\x12" + varint(len(value)) + value
    return b"\x0a" + varint(len(inner)) + inner


def test_protobuf_that_begins_like_json_is_read_as_protobuf() -> None:
    """A first field of 123 bytes begins with a line's end and a brace."""
    for length in range(60, 120):
        body = protobuf(span(name="n" * length))
        if body[:2] == b"\n{":
            assert len(read_request(body).spans) == 1
            return
    raise AssertionError("no length gave it")


EMPTY_THINGS: dict[str, bytes] = {
    "resources": b"\x0a\x00" * 2_000_000,
    "scopes": b"\x0a" + varint(4_000_000) + b"\x12\x00" * 2_000_000,
    "spans": protobuf(*[b""] * 1_000_000),
    "attributes": protobuf(span() + b"\x4a\x00" * 2_000_000),
    "attributes of many spans": protobuf(*[span() + b"\x4a\x00" * 200] * 9_000),
    "events": protobuf(span() + b"\x5a\x00" * 2_000_000),
    "links": protobuf(span() + b"\x6a\x00" * 2_000_000),
    "values of a list": protobuf(
        span()
        + b"\x4a"
        + varint(4_000_010)
        + b"\x12"
        + varint(4_000_005)
        + b"\x2a"
        + varint(4_000_000)
        + b"\x0a\x00" * 2_000_000
    ),
    "resource": b"\x0a" + varint(4_000_005) + b"\x0a" + varint(4_000_000) + b"\x0a\x00" * 2_000_000,
    "JSON objects": b'{"resourceSpans":[' + b"{}," * 1_500_000 + b"{}]}",
    "JSON lists": b'{"a":[' + b"[]," * 1_500_000 + b"[]]}",
    "JSON numbers": b'{"a":[' + b"1," * 2_000_000 + b"1]}",
    "JSON, an unfinished text": b'{"a":[' + b"{}," * 400_000 + b'"' + b'\\"' * 1_000_000,
}


@pytest.mark.parametrize("kind", EMPTY_THINGS)
def test_what_would_be_large_in_memory_is_refused_before(kind: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read_request(EMPTY_THINGS[kind], 10_000)
    assert caught.value.reason == ("not_json" if "unfinished" in kind else "too_large"), caught.value.detail


def test_a_large_text_with_many_commas_is_no_large_request() -> None:
    found = read_json(request(GOOD | {"name": '{[,\\"' * MAX_VALUES}))
    assert len(found.spans) == 1


def test_logs_and_metrics_are_told_where_they_belong() -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5).body.string_value = "hello"
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").sum.data_points.add(as_int=1)
    told = {
        "OTEL_LOGS_EXPORTER=none": (logs.SerializeToString(), b'{"resourceLogs":[{"scopeLogs":[]}]}'),
        "OTEL_METRICS_EXPORTER=none": (metrics.SerializeToString(), b'{"resource_metrics":[{}]}'),
    }
    for words, bodies in told.items():
        for body in bodies:
            with pytest.raises(InvalidEvent, match=words):
                read_request(body)
    nameless = protobuf(Span(name="nobody").SerializeToString())
    assert read_request(nameless).nameless == 1

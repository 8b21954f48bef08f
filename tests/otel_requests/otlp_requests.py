"""Requests as OpenTelemetry's own SDK encodes them."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, StatusCode


def agent_run(fail: bool = False) -> list[ReadableSpan]:
    """An agent that calls a model and a tool, each span as it ends: children first."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "support", "service.version": "1.2"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("my.agent", "0.1")
    asked = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}
    with tracer.start_as_current_span("invoke_agent support", attributes=asked) as agent:
        chat: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 900,
            "gen_ai.usage.output_tokens": 120,
            "gen_ai.input.messages": '[{"role":"user"}]',
            "tags": ["a", "b"],
            "rate": 0.5,
            "cached": False,
        }
        with tracer.start_as_current_span("chat gpt-4o-mini", kind=SpanKind.CLIENT, attributes=chat):
            pass
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
        links = [Link(agent.get_span_context())]
        with tracer.start_as_current_span("execute_tool search", attributes=tool, links=links) as span:
            if fail:
                span.record_exception(TimeoutError("no answer"))
                span.set_status(StatusCode.ERROR)
        if fail:
            agent.set_status(StatusCode.ERROR, "the tool failed")
    provider.shutdown()
    return list(kept.get_finished_spans())


def as_protobuf(spans: list[ReadableSpan]) -> bytes:
    """The request as an exporter sends it."""
    return encode_spans(spans).SerializeToString()


def as_json(spans: list[ReadableSpan]) -> dict[str, Any]:
    """The request in OTLP's JSON: ids in hexadecimal, long numbers as text, enumerations as numbers."""
    request: dict[str, Any] = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
    for of_resource in request["resourceSpans"]:
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                for told in (span, *span.get("links", ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in told:
                            told[name] = b64decode(told[name]).hex()
    return request


def nameless() -> bytes:
    """A request with a span that has no ids."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="nobody")
    return request.SerializeToString()

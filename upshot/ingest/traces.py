"""`POST /v1/traces` and `/v1/logs`: OTLP over HTTP, answered in the encoding of the request."""

from __future__ import annotations

from aiohttp import web
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from upshot.ingest.answers import Problem
from upshot.ingest.gate import large_beside
from upshot.ingest.limits import MAX_EVENTS
from upshot.ingest.sending import IngestProducer
from upshot.otel import asked_for, price_table
from upshot.otel.events import MappedSpans, events_of, exposures_of_logs
from upshot.otel.logs import read_logs_json, read_logs_protobuf
from upshot.otel.misplaced import LOGS, where_it_belongs
from upshot.otel.otlp import read_json, read_protobuf
from upshot.settings import Settings

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    404: Code.UNIMPLEMENTED,
    413: Code.INVALID_ARGUMENT,
    415: Code.INVALID_ARGUMENT,
    503: Code.UNAVAILABLE,
}


class TraceRoutes:
    """Takes spans as steps and runs."""

    def __init__(self, settings: Settings, producer: IngestProducer) -> None:
        self._with_content = settings.otlp_content
        self._asked = asked_for(settings.span_attributes.split(","))
        self._producer = producer
        self._prices = price_table()

    async def take(self, request: web.Request, body: bytes) -> web.Response:
        """200 once all replicas have the events of the spans; unusable spans are counted in the answer."""
        if request.content_type not in (PROTOBUF, JSON):
            raise Problem(415, f"spans come as {PROTOBUF} or {JSON} (OTLP over HTTP); nothing was taken")
        as_json = request.content_type == JSON
        mapped = await large_beside(body, lambda: self._mapped(body, as_json))
        await self._producer.send(mapped.events)
        response = ExportTraceServiceResponse()
        if mapped.rejected:
            response.partial_success.rejected_spans = mapped.rejected
            response.partial_success.error_message = f"left out: {mapped.why}"
        return _answer(request, response, 200)

    async def take_logs(self, request: web.Request, body: bytes) -> web.Response:
        """200 once all replicas have the exposures; other log records are counted in the answer."""
        if request.content_type not in (PROTOBUF, JSON):
            raise Problem(415, f"logs come as {PROTOBUF} or {JSON} (OTLP over HTTP); nothing was taken")
        read = read_logs_json if request.content_type == JSON else read_logs_protobuf
        mapped = await large_beside(body, lambda: exposures_of_logs(read(body, MAX_EVENTS)))
        await self._producer.send(mapped.events)
        response = ExportLogsServiceResponse()
        if mapped.rejected:
            response.partial_success.rejected_log_records = mapped.rejected
            response.partial_success.error_message = f"left out: {mapped.why}. {where_it_belongs(LOGS)}"
        return _answer(request, response, 200)

    async def refuse(self, request: web.Request) -> web.Response:
        """404 for metrics: where they belong."""
        return as_status(request, Problem(404, where_it_belongs(request.path.rpartition("/")[2])))

    def _mapped(self, body: bytes, as_json: bool) -> MappedSpans:
        found = read_json(body, MAX_EVENTS) if as_json else read_protobuf(body, MAX_EVENTS)
        return events_of(found, self._prices, with_content=self._with_content, asked=self._asked)


def as_status(request: web.Request, problem: Problem) -> web.Response:
    """The problem in OTLP's form: a google.rpc.Status."""
    code = _CODES.get(problem.status, Code.FAILED_PRECONDITION)
    response = _answer(request, Status(code=code, message=problem.detail), problem.status)
    response.headers.update(problem.headers)
    return response


def _answer(request: web.Request, message: Message, status: int) -> web.Response:
    if request.content_type == PROTOBUF:
        return web.Response(body=message.SerializeToString(), status=status, content_type=PROTOBUF)
    return web.Response(text=MessageToJson(message, indent=None), status=status, content_type=JSON)


__all__ = ["JSON", "PROTOBUF", "TraceRoutes", "as_status"]

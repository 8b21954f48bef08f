"""`POST /v1/traces`: OTLP over HTTP, answered in the encoding of the request."""

from __future__ import annotations

from aiohttp import web
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from upshot.door.answers import Problem
from upshot.door.gate import body_of, large_beside
from upshot.door.sending import Intake
from upshot.otlp.events import Mapped, events_of
from upshot.otlp.spans import read_json, read_protobuf
from upshot.settings import Settings
from upshot.traces import asked_for, price_table

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_CODES = {400: Code.INVALID_ARGUMENT, 401: Code.UNAUTHENTICATED, 503: Code.UNAVAILABLE}


class TraceDoor:
    """Takes spans as steps and runs."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self._with_content = settings.otlp_content
        self._asked = asked_for(settings.span_attributes.split(","))
        self._intake = intake
        self._prices = price_table()

    async def take(self, request: web.Request) -> web.Response:
        """200 once all replicas have what the spans are; those that are none are counted in the answer."""
        if request.content_type not in (PROTOBUF, JSON):
            raise Problem(415, f"send {PROTOBUF} or {JSON}")
        body = await body_of(request)
        as_json = request.content_type == JSON
        mapped = await large_beside(body, lambda: self._mapped(body, as_json))
        await self._intake.send(mapped.events)
        response = ExportTraceServiceResponse()
        if mapped.rejected:
            response.partial_success.rejected_spans = mapped.rejected
            response.partial_success.error_message = f"left out: {mapped.why}"
        return _answer(request, response, 200)

    def _mapped(self, body: bytes, as_json: bool) -> Mapped:
        found = read_json(body) if as_json else read_protobuf(body)
        return events_of(found, self._prices, with_content=self._with_content, asked=self._asked)


def as_status(request: web.Request, problem: Problem) -> web.Response:
    """The problem as OTLP wants it: a google.rpc.Status."""
    code = _CODES.get(problem.status, Code.FAILED_PRECONDITION)
    response = _answer(request, Status(code=code, message=problem.detail), problem.status)
    response.headers.update(problem.headers)
    return response


def _answer(request: web.Request, message: Message, status: int) -> web.Response:
    if request.content_type == JSON:
        text = MessageToJson(message, indent=None)
        return web.Response(text=text, status=status, content_type=JSON)
    return web.Response(body=message.SerializeToString(), status=status, content_type=PROTOBUF)


__all__ = ["JSON", "PROTOBUF", "TraceDoor", "as_status"]

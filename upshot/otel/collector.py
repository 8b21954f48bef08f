"""Hands log records to an OpenTelemetry collector, which may be away."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import aiohttp
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from upshot.backoff import Backoff
from upshot.errors import ConfigurationError
from upshot.otel.evaluations import request_of
from upshot.settings import Settings

#: Seconds between two tries, doubled each time up to the second.
_PAUSES = (0.5, 30.0)
_TIMEOUT = aiohttp.ClientTimeout(total=30)
#: The collector blames these very records, and would refuse them another time, too.
_REFUSED = (400, 413, 422)

log = logging.getLogger(__name__)


class Collector:
    """A collector at `settings.otlp_url`. Raises ConfigurationError where the setting is no address."""

    def __init__(self, settings: Settings, pauses: tuple[float, float] = _PAUSES) -> None:
        url = urlsplit(settings.otlp_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ConfigurationError("UPSHOT_OTLP_URL is no address over HTTP: write http://collector:4318")
        self._url = settings.otlp_url.rstrip("/") + "/v1/logs"
        self._headers = {
            **_headers(settings.otlp_headers.get_secret_value()),
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
        }
        self._pauses = pauses
        #: Records that the collector refused.
        self.refused = 0

    async def send(self, records: Sequence[LogRecord]) -> None:
        """Return once the collector has the records, however late. Refused records are logged and counted."""
        body = gzip.compress(request_of(records).SerializeToString(), 1)
        backoff = Backoff(*self._pauses)
        warned = False
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while trouble := await self._try(session, body, len(records)):
                if not warned:
                    log.warning(
                        "the collector at %s does not take scores: %s; tried again", self._url, trouble
                    )
                warned = True
                await asyncio.sleep(backoff.pause())
        if warned:
            log.info("the collector at %s takes scores again", self._url)

    async def _try(self, session: aiohttp.ClientSession, body: bytes, count: int) -> str:
        """The reason for another try; empty where none is needed."""
        try:
            async with session.post(self._url, data=body, headers=self._headers) as response:
                content = await response.read()
                if response.status in _REFUSED:
                    self._lose(count, f"status {response.status}")
                    return ""
                if response.status != 200:
                    return f"status {response.status}"
                self._look_for_rejections(content)
                return ""
        except (aiohttp.ClientError, TimeoutError) as error:
            return str(error) or type(error).__name__

    def _look_for_rejections(self, content: bytes) -> None:
        try:
            partial = ExportLogsServiceResponse.FromString(content).partial_success
        except DecodeError:
            return  # the status was 200; some collectors send no OTLP answer
        if partial.rejected_log_records:
            self._lose(partial.rejected_log_records, partial.error_message)

    def _lose(self, count: int, why: str) -> None:
        self.refused += count
        log.error(
            "the collector at %s refuses %d scores: %s; they stay in Kafka and ClickHouse",
            self._url,
            count,
            why,
        )


def _headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, values percent-encoded, as OpenTelemetry's own variable has them."""
    headers = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError("UPSHOT_OTLP_HEADERS is not NAME=VALUE,NAME=VALUE")
        headers[name.strip()] = unquote(value.strip())
    return headers


__all__ = ["Collector"]

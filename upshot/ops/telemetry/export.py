"""A worker's metrics, on a page for Prometheus and pushed to an OpenTelemetry collector."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider, ObservableGauge
from opentelemetry.sdk.metrics.export import (
    CardinalityLimits,
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from prometheus_client import CollectorRegistry

from upshot.ops.telemetry.page import serve_page
from upshot.ops.telemetry.process import watch_process
from upshot.settings import Settings
from upshot.streams.metrics.instruments import Instruments
from upshot.version import __version__

log = logging.getLogger(__name__)

#: Partitions of topics that one worker may tell the lag of; OpenTelemetry's own limit is 2,000.
_SERIES: CardinalityLimits = {ObservableGauge: 20_000}
#: The last push gets so long.
_CLOSE_WITHIN_MS = 2_000


@dataclass
class Telemetry:
    """The exported metrics. Without a `meter` nothing is exported: nobody asked for metrics."""

    meter: Meter | None = None
    #: Where the page for Prometheus is; None where there is none.
    port: int | None = None
    _provider: MeterProvider | None = None
    _server: WSGIServer | None = field(default=None, repr=False)

    def close(self) -> None:
        """Push once more and let go of the port; takes a few seconds at the most."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._provider is not None:
            self._provider.shutdown(_CLOSE_WITHIN_MS)


def export_metrics(settings: Settings, role: str, environ: Mapping[str, str] = os.environ) -> Telemetry:
    """Export all measurements from now on, where the settings or OpenTelemetry's variables say so.

    A worker does its work with or without: a port already taken is a warning, an absent collector too.
    """
    registry = _Registry()
    server = _serve(settings, role, registry)
    exporter = PatientExporter() if _is_pushed(environ) else None
    if server is None and exporter is None:
        return Telemetry()
    readers: list[MetricReader] = []
    if server is not None:
        readers.append(
            PrometheusMetricReader(scope_info_enabled=False, registry=registry, cardinality_limits=_SERIES)
        )
    if exporter is not None:
        readers.append(PeriodicExportingMetricReader(exporter, cardinality_limits=_SERIES))
    provider = MeterProvider(readers, _resource(role), shutdown_on_exit=False)
    meter = provider.get_meter("upshot", __version__)
    instruments = Instruments(role, meter)
    watch_process(instruments)
    if exporter is not None:
        instruments.watch_value("upshot.ops.telemetry.failures", lambda: exporter.failures)
    return Telemetry(meter, server.server_port if server else None, provider, server)


class _Registry(CollectorRegistry):
    """One collection at a time: OpenTelemetry's collector mixes up two running at once."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = Lock()

    def collect(self) -> Any:
        with self._turn:
            return iter(list(super().collect()))


class PatientExporter(OTLPMetricExporter):
    """Counts failed pushes, and logs when the collector goes away and when the collector is back."""

    failures = 0
    _failing = False

    def export(self, metrics_data: MetricsData, *args: Any, **kwargs: Any) -> MetricExportResult:
        result = super().export(metrics_data, *args, **kwargs)
        failed = result is not MetricExportResult.SUCCESS
        self.failures += failed
        if failed and not self._failing:
            log.warning("metrics don't reach %s: dropped and counted until they do", self._endpoint)
        elif self._failing and not failed:
            log.warning("metrics reach %s again", self._endpoint)
        self._failing = failed
        return result


def _serve(settings: Settings, role: str, registry: CollectorRegistry) -> WSGIServer | None:
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        return None
    try:
        server = serve_page(registry, host, port)
    except OSError as error:
        log.warning(
            "%s has no page for Prometheus: %s:%d can't be opened (%s); it works all the same. Set "
            "UPSHOT_METRICS_PORT to a free port, or 0 for any",
            *(role, host, port, error.strerror),
        )
        return None
    log.info("metrics of %s are at http://%s:%d/metrics", role, host, server.server_port)
    return server


def _is_pushed(environ: Mapping[str, str]) -> bool:
    """OpenTelemetry's own variables, with HTTP as the only protocol."""
    if environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return False
    if not any(environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("METRICS_ENDPOINT", "ENDPOINT")):
        return False
    protocols = [environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("METRICS_PROTOCOL", "PROTOCOL")]
    protocol = next(filter(None, protocols), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning(
            "metrics aren't pushed: OTEL_EXPORTER_OTLP_PROTOCOL is %s, known is http/protobuf", protocol
        )
    return protocol == "http/protobuf"


def _resource(role: str) -> Resource:
    """Who measures; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come before ours."""
    ours = {
        "service.name": "upshot",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}-{role}-{os.getpid()}",
        "upshot.role": role,
    }
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


__all__ = ["PatientExporter", "Telemetry", "export_metrics"]

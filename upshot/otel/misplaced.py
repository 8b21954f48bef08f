"""Logs and metrics sent to the place of spans: the answer names their place."""

from __future__ import annotations

from upshot.errors import InvalidEvent

LOGS, METRICS = "logs", "metrics"

_VARIABLES = {LOGS: "OTEL_LOGS_EXPORTER", METRICS: "OTEL_METRICS_EXPORTER"}


def where_it_belongs(signal: str) -> str:
    """Advice for logs or metrics sent here."""
    return (
        f"Upshot takes no {signal}, spans alone, at /v1/traces: send {signal} to an OpenTelemetry Collector "
        f"or a backend for {signal}. Set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to this server's /v1/traces in "
        f"place of OTEL_EXPORTER_OTLP_ENDPOINT, or {_VARIABLES[signal]}=none; outcomes "
        "go to /v1/outcomes"
    )


def misplaced(signal: str) -> InvalidEvent:
    """The refusal of a request with logs or metrics, and no spans."""
    return InvalidEvent("not_otlp", f"these are {signal}, no spans. {where_it_belongs(signal)}")


__all__ = ["LOGS", "METRICS", "misplaced", "where_it_belongs"]

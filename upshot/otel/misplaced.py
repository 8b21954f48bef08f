"""One signal sent to the place of another: the answer names the right place."""

from __future__ import annotations

from upshot.errors import InvalidEvent

LOGS, METRICS, SPANS = "logs", "metrics", "spans"

_VARIABLES = {LOGS: "OTEL_LOGS_EXPORTER", METRICS: "OTEL_METRICS_EXPORTER"}


def where_it_belongs(signal: str) -> str:
    """Advice for a signal sent to the wrong place."""
    if signal == SPANS:
        return (
            "Upshot takes spans at /v1/traces: set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to this server's "
            "/v1/traces, and OTEL_EXPORTER_OTLP_LOGS_ENDPOINT to its /v1/logs; nothing was taken"
        )
    taken = (
        "of logs the evaluations of feature flags alone, at /v1/logs" if signal == LOGS else f"no {signal}"
    )
    return (
        f"Upshot takes {taken}, and spans at /v1/traces: send {signal} to an OpenTelemetry Collector "
        f"or a backend for {signal}. Set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to this server's /v1/traces in "
        f"place of OTEL_EXPORTER_OTLP_ENDPOINT, or {_VARIABLES[signal]}=none; outcomes "
        "go to /v1/outcomes"
    )


class Misplaced(InvalidEvent):
    """A request with one signal where another was meant, and none of the other."""

    def __init__(self, signal: str, meant: str = SPANS) -> None:
        super().__init__("not_otlp", f"these are {signal}, no {meant}. {where_it_belongs(signal)}")
        self.signal = signal


__all__ = ["LOGS", "METRICS", "SPANS", "Misplaced", "where_it_belongs"]

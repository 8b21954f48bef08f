"""Spans in OpenTelemetry's encoding, from a Collector without knowledge of Upshot."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class TraceRequest(BaseModel):
    """OTLP's ExportTraceServiceRequest: as protobuf or as JSON, told apart by the first byte.

    The Kafka exporter of the OpenTelemetry Collector writes this request with `encoding: otlp_proto` (its
    default) or `otlp_json`. Spans without valid ids are left out and dead-lettered; the others are taken.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    resourceSpans: list[dict[str, Any]] = Field(
        description="OTLP's ResourceSpans, with their spans by scope."
    )


__all__ = ["TraceRequest"]

"""OpenTelemetry's protocol: spans that come in become steps and runs, scores go out as evaluation results."""

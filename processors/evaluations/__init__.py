"""The role `evaluations`: each revision of a score goes out to an OpenTelemetry collector."""

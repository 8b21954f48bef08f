"""The role `traces`: OTLP spans on a Kafka topic become runs and steps."""

"""Kafka's clients: connection, administration, producing in batches, partitioning, groups, fetching."""

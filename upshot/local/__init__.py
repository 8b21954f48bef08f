"""Real Apache Kafka and the real ClickHouse engine on this machine, started from Python packages alone."""

"""The real Kafka for a benchmark."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics


@contextmanager
def broker_with_topics() -> Iterator[tuple[Settings, KafkaServer]]:
    """Kafka with its topics, in a temporary folder that is the settings' data directory."""
    with tempfile.TemporaryDirectory(prefix="upshot-bench-") as name:
        kafka = KafkaServer(Path(name), report=print)
        kafka.start()
        try:
            kafka.wait_ready(120)
            settings = Settings(kafka_url=kafka.bootstrap, data_dir=Path(name))
            asyncio.run(ensure_topics(settings))
            yield settings, kafka
        finally:
            kafka.stop()


__all__ = ["broker_with_topics"]

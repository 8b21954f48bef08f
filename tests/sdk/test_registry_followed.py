"""Agents follow the registry of experiments on real Kafka, and go on without the broker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts import running
from upshot import App
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer, settled

pytestmark = pytest.mark.stack
AT = "2026-05-01T00:00:00Z"
#: Seconds for a change to arrive.
WITHIN = 5.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaServer]:
    with running(KafkaServer(tmp_path / "kafka")) as server:
        yield server


async def register(settings: Settings, *records: dict[str, Any] | None) -> None:
    async with event_producer(settings) as producer:
        sent = []
        for fields in records:
            event = None if fields is None else {"experiment": "tone", "changed_at": AT} | fields
            value = None if event is None else json.dumps(event).encode()
            sent.append(await producer.send("experiments", value, key="tone"))
        assert await settled(sent) == [None] * len(records)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


async def test_changes_arrive_while_the_agent_runs_and_after_an_outage(
    broker: KafkaServer, tmp_path: Path
) -> None:
    settings = Settings(kafka_url=broker.bootstrap, data_dir=tmp_path / "agent")
    app = App("support", settings=settings)
    tone = app.experiment("tone", {"plain": 0, "warm": 1, "cold": 2}, control="plain", unit="user")

    def only(arm: str) -> dict[str, Any]:
        return {"unit": "user", "variants": {"plain": 0.0, arm: 1.0}, "phase": arm}

    try:
        assert not app.experiments_ready(0.2), "there is no topic yet, and nobody waits for one"
        assert tone.peek("u").exposed, "the code's declaration counts"
        await ensure_topics(settings, [TOPICS["experiments"], TOPICS["exposures"]])
        await register(settings, only("cold"), {"schema_version": 2} | only("cold"), only("warm"))
        assert app.experiments_ready(WITHIN)
        assert tone.peek("u").name == "warm", "of a key the last readable record counts"
        await register(settings, only("cold"))
        assert within(WITHIN, lambda: tone.peek("u").name == "cold")
        broker.kill()
        assert tone.peek("u").name == "cold"
        # Another process starts while the broker is away: the copy on disk goes on.
        other = App("support", settings=settings).experiment("tone", tone.arms, control="plain", unit="user")
        assert other.peek("u").name == "cold"
        broker.start()
        broker.wait_ready(60.0)
        await register(settings, only("warm"))
        assert within(WITHIN, lambda: tone.peek("u").name == "warm")
        assert within(WITHIN, lambda: other.peek("u").name == "warm")
        await register(settings, None)
        assert within(WITHIN, lambda: app.registry.definition("tone") is None)
    finally:
        app.close()

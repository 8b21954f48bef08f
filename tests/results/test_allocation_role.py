"""The role `experiments` on real Kafka and ClickHouse: weights by outcomes, never over a person's change."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.results.conftest import NOON, Story
from tests.upshot_process import Running, start
from upshot.experiments.changes import stopped
from upshot.local.kafka import KafkaServer
from upshot.processors.experiments.decide import RegistryRecord
from upshot.processors.experiments.reading import FOLLOWS, read_registry
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer

pytestmark = pytest.mark.stack

WITHIN = 120.0
TONE: dict[str, Any] = {
    "experiment": "tone",
    "control": "plain",
    "variants": {"plain": 1.0, "warm": 1.0},
    "unit": "user",
    "strategy": "adaptive",
    "metrics": [{"name": "solved", "window": "P7D"}],
    "changed_at": NOON.isoformat(),
}


async def register(settings: Settings, record: Experiment, follows: int | None = None) -> None:
    async with event_producer(settings) as producer:
        headers = [] if follows is None else [(FOLLOWS, str(follows).encode())]
        value = record.model_dump_json(exclude_unset=True).encode()
        await (await producer.send("experiments", value, key=record.experiment, headers=headers))


async def registered(settings: Settings, count: int, role: Running) -> list[RegistryRecord]:
    """All records, once so many are there."""
    async with asyncio.timeout(WITHIN):
        while len(found := await read_registry(settings, (0,))) < count:
            assert role.process.poll() is None, role.metadata.read_text()
            await asyncio.sleep(0.2)
    return found


async def test_weights_follow_outcomes_and_people_have_the_last_word(
    story: Story, kafka: KafkaServer, tmp_path: Path
) -> None:
    for number in range(60):
        story.unit(f"p{number}", "plain", value=number < 18)
        story.unit(f"w{number}", "warm", value=number < 40)
    await story.stored()
    settings = story.settings.model_copy(
        update={"kafka_url": kafka.bootstrap, "topic_prefix": f"al{uuid4().hex[:12]}."}
    )
    await ensure_topics(settings)
    await register(settings, Experiment.model_validate(TONE))
    environment = {
        "UPSHOT_KAFKA_URL": settings.kafka_url,
        "UPSHOT_TOPIC_PREFIX": settings.topic_prefix,
        "UPSHOT_CLICKHOUSE_URL": settings.clickhouse_url.get_secret_value(),
        "UPSHOT_ALLOCATION_INTERVAL": "PT4S",
    }
    arguments = ("worker", "--role", "experiments")
    role = start(tmp_path / "first", *arguments, environment=environment)
    first, second = await registered(settings, 2, role)
    assert second.follows == first.offset
    found = second.experiment
    assert (found.phase, found.status) == ("2", "running")
    assert found.reason == "allocation by 120 mature units of solved"
    assert found.variants["warm"] == pytest.approx(0.95, abs=0.01)
    assert found.control == "plain" and found.metrics == first.experiment.metrics
    # Killed, and started again: the weights are what the outcomes say already, so that no phase is opened.
    role.interrupt(signal.SIGKILL)
    role = start(tmp_path / "second", *arguments, environment=environment)
    # Somebody stops the experiment, while another allocation was on its way.
    person = stopped(found, found.changed_at, "complaints")
    await register(settings, person)
    stray = TONE | {"variants": {"plain": 0.3, "warm": 0.7}, "phase": "3"}
    await register(settings, Experiment.model_validate(stray), follows=second.offset)
    records = await registered(settings, 5, role)
    last = records[-1]
    assert [one.experiment.status for one in records[2:]] == ["stopped", "running", "stopped"]
    assert (last.follows, last.experiment.reason) == (None, "complaints")
    assert last.experiment.variants == found.variants
    assert last.experiment.all_phases == found.all_phases
    assert role.interrupt() == 0, role.metadata.read_text()
    assert "Traceback" not in role.metadata.read_text()
    assert len(await read_registry(settings, (0,))) == 5

"""Retention on the real parts: older facts go, what pending work needs stays."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.store.conftest import PATIENCE, Store, record
from tests.store.story import wait
from upshot.local.kafka import KafkaServer
from upshot.processors.store.migrate import migrate
from upshot.processors.store.retention import apply_retention
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.kafka.topic_retention import retained_for

pytestmark = pytest.mark.stack
NOW = int(time.time() * 1000)
OLD = NOW - 400 * 86_400_000


def keeping(store: Store, days: int | None) -> Settings:
    retention = None if days is None else timedelta(days=days)
    return store.settings.model_copy(update={"retention": retention})


def retained(topic: dict[str, str]) -> float:
    """Days."""
    return int(topic["retention.ms"]) / 86_400_000


def with_ttl(store: Store) -> set[str]:
    sql = (
        "SELECT name FROM system.tables "
        "WHERE database = currentDatabase() AND create_table_query LIKE '% TTL %'"
    )
    return {name for (name,) in store.values(sql)} - {"changed_runs"}


async def test_older_facts_go_and_newer_stay(store: Store) -> None:
    old, new = ({"run_id": run, "agent": "a"} for run in ("old", "new"))
    await store.take(
        record("runs", old, timestamp=OLD, offset=1), record("runs", new, timestamp=NOW, offset=2)
    )
    assert apply_retention(keeping(store, 90)) == 90
    assert {"raw_runs", "raw_steps", "raw_scores", "raw_waits", "raw_scored_runs"} <= with_ttl(store)
    assert not {"raw_experiments", "raw_alert_rules", "raw_cancellations"} & with_ttl(store)
    store.client.command("OPTIMIZE TABLE raw_runs FINAL")
    assert store.values("SELECT run_id FROM runs") == [("new",)]
    migrate(keeping(store, 30))
    assert "toIntervalDay(30)" in str(store.client.command("SHOW CREATE TABLE raw_runs"))
    assert apply_retention(keeping(store, None)) is None
    assert with_ttl(store) == set()


async def test_what_an_open_wait_needs_stays(store: Store) -> None:
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P3650D"}
    await store.take(
        record("runs", {"run_id": "r", "agent": "a"}, timestamp=OLD, offset=1),
        wait("w", run_id="r", subject="pr:1", rule=rule, opened_at="2026-01-01T00:00:00Z"),
    )
    days = apply_retention(keeping(store, 90))
    assert days is not None and days > 3650
    store.client.command("OPTIMIZE TABLE raw_runs FINAL")
    store.client.command("OPTIMIZE TABLE raw_waits FINAL")
    assert store.values("SELECT run_id, agent FROM pending") == [("r", "a")]


async def test_topics_keep_records_as_the_settings_say(kafka: KafkaServer) -> None:
    prefix = f"kept-{uuid4().hex[:8]}."
    usual = Settings(kafka_url=kafka.bootstrap, topic_prefix=prefix)
    topics = [TOPICS[name] for name in ("runs", "deferrals", "experiments")]
    await ensure_topics(usual, topics)
    longer = usual.model_copy(update={"topic_retention": timedelta(days=10)})
    await ensure_topics(longer, topics)
    asked = [ConfigResource(ConfigResourceType.TOPIC, longer.topic(topic.name)) for topic in topics]
    patience, found = time.monotonic() + PATIENCE, dict[str, dict[str, str]]()
    async with admin_client(longer) as admin:
        while not found or retained(found[longer.topic("runs")]) != 10:  # brokers learn of it a little later
            assert time.monotonic() < patience, found[longer.topic("runs")]
            [response] = await admin.describe_configs(asked)
            found = {
                name: {entry[0]: entry[1] for entry in entries} for *_, name, entries in response.resources
            }
            await asyncio.sleep(0.05)
    assert retained(found[longer.topic("deferrals")]) == 30
    assert found[longer.topic("experiments")]["cleanup.policy"] == "compact"
    sizes = {found[longer.topic(topic.name)]["max.message.bytes"] for topic in topics}
    assert sizes == {str(TOPICS["runs"].max_bytes)}
    assert retained_for(longer, TOPICS["experiments"]) is None

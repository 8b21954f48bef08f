"""Guardrails: a variant that is worse than allowed, its stop, and a broken split, on the real engine."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from tests.results.conftest import DAY, NOON, Story
from upshot.alerts.windows import Grid
from upshot.insights.alerts.guardrails import registered
from upshot.insights.reader import Reader
from upshot.local.kafka import KafkaServer
from upshot.processors.alerts.instants import JudgedInstants
from upshot.processors.alerts.judging import judge
from upshot.processors.alerts.state import JudgedRule, decode_judged, encode_judged
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.experiments import Experiment
from upshot.streams.events.instants import micros
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer

pytestmark = pytest.mark.stack

DAYS_30 = micros(NOON + 30 * DAY)
EVERY = 300_000_000


def rule(**changed: Any) -> AlertRule:
    least = {"name": "guard", "kind": "guardrail", "changed_at": NOON.isoformat(), "max_age": "P60D"}
    return AlertRule.model_validate(least | changed)


def stored_record(reader: Reader, experiment: str) -> Experiment:
    [record] = registered(reader, experiment, NOON + 31 * DAY)
    return record


async def judged(story: Story, a_rule: AlertRule, state: JudgedRule | None = None) -> JudgedInstants:
    """What the rule finds; the registry's records are those of the store."""
    reader = await story.stored()
    grid = Grid(EVERY, DAYS_30 - EVERY, DAYS_30)
    in_force = partial(stored_record, reader)
    return judge(story.settings, reader, a_rule, state, grid, DAYS_30 + EVERY, in_force)


def experiment(story: Story, units: dict[str, int], weights: dict[str, float] | None = None) -> None:
    solved = {"name": "solved", "kind": "rate", "role": "guardrail", "window": "P7D", "margin": 0.1}
    record = {"experiment": "tone", "variants": weights or {"plain": 1, "warm": 1}, "control": "plain"}
    metrics = {"metrics": [solved], "changed_at": NOON, "planned_units": 400}
    story.event("experiments", 0, **record, **metrics)
    for variant, count in units.items():
        for number in range(count):
            story.unit(f"{variant}{number}", variant, value=variant == "plain" or number % 3 == 0)


async def test_a_variant_beyond_its_margin_fires_once_and_is_stopped_only_if_asked(story: Story) -> None:
    experiment(story, {"plain": 200, "warm": 200})
    found = await judged(story, rule())
    [alert] = found.alerts
    assert (alert.state, alert.cause) == ("firing", "tone/1/warm/solved")
    assert alert.group == {"experiment": "tone", "phase": "1", "variant": "warm", "metric": "solved"}
    assert found.experiments == []
    again = await judged(story, rule(), decode_judged(encode_judged(found.state)))
    assert (again.alerts, again.state) == ([], found.state)
    [record] = (await judged(story, rule(stop_variant=True))).experiments
    assert record.variants == {"plain": 1.0, "warm": 0.0}
    assert "alert guard" in record.reason and record.phase == "2"
    story.event("experiments", 29, **record.model_dump(mode="json", exclude_unset=True))
    after = await judged(story, rule(stop_variant=True), found.state)
    assert [one.state for one in after.alerts] == ["resolved"] and after.experiments == []
    lost = await judged(story, rule(stop_variant=True))
    assert lost.alerts == [] and lost.experiments == [], "a state that was lost stops nothing twice"


async def test_no_variant_is_stopped_over_a_record_of_a_newer_release(
    story: Story, kafka: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The store knows the record before; the topic's last one isn't readable here."""
    experiment(story, {"plain": 200, "warm": 200})
    reader = await story.stored()
    prefix = f"guard{uuid4().hex[:12]}."
    settings = story.settings.model_copy(update={"kafka_url": kafka.bootstrap, "topic_prefix": prefix})
    await ensure_topics(settings, [TOPICS["experiments"]])
    [record] = registered(reader, "tone", NOON + DAY)
    newer = record.model_dump(mode="json", exclude_unset=True) | {"status": "paused"}
    grid, asked = Grid(EVERY, DAYS_30 - EVERY, DAYS_30), rule(stop_variant=True)
    for value, is_stopped in ((record.model_dump_json(exclude_unset=True), True), (json.dumps(newer), False)):
        async with event_producer(settings) as producer:
            await (await producer.send("experiments", value.encode(), key="tone"))
        found = await asyncio.to_thread(judge, settings, reader, asked, None, grid, DAYS_30 + EVERY)
        [alert] = found.alerts
        assert [one.variants["warm"] for one in found.experiments] == ([0.0] if is_stopped else [])
        assert (
            "warm was not stopped: the registry's last record of tone isn't readable" in alert.message
        ) != (is_stopped)
    assert "tone goes on with warm: the registry's last record" in caplog.text


async def test_few_units_do_not_fire_and_other_metrics_are_none_of_the_rule(story: Story) -> None:
    experiment(story, {"plain": 20, "warm": 20})
    assert (await judged(story, rule())).alerts == []
    assert (await judged(story, rule(experiment="other"))).alerts == []
    assert (await judged(story, rule(metric="cost_usd"))).alerts == []


async def test_a_broken_split_fires_without_a_variant(story: Story) -> None:
    experiment(story, {"plain": 260, "warm": 120}, {"plain": 1, "warm": 1})
    found = await judged(story, rule(metric="sample ratio", stop_variant=True))
    assert [alert.cause for alert in found.alerts] == ["tone/1//sample ratio"]
    assert found.experiments == []

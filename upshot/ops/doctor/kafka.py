"""The broker, the topics, and the workers reading them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from upshot.errors import KafkaUnavailable
from upshot.ops.doctor.finding import Finding, unknown
from upshot.ops.doctor.readers import Readers, Trouble, look_at_readers, trouble_of
from upshot.processors.roles import roles_of
from upshot.settings import Settings
from upshot.streams.kafka.groups import Group
from upshot.streams.kafka.standstill import Standstill, Stuck
from upshot.streams.kafka.topic_states import TopicState, topic_states

#: Seconds until a broker that says nothing counts as away.
_PATIENCE = 15.0
#: A worker that is so many records behind is worth a look.
_FAR_BEHIND = 100_000
#: Seconds between two looks at who moves.
_PAUSE = 2.0


async def examine_kafka(settings: Settings) -> list[Finding]:
    """Broker, topics, a finding for each worker role. Looks on where a worker seems to stand still, to be
    sure.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            topics = await topic_states(settings)
            readers = await look_at_readers(settings)
        readers, stuck = await _watched(settings, readers)
    except (KafkaUnavailable, TimeoutError) as error:
        found = str(error) or f"no answer at {settings.kafka_url} within {_PATIENCE:g} s"
        to_do = "start it (upshot up), or correct UPSHOT_KAFKA_URL"
        workers = [f"worker {role}" for role in roles_of(settings)]
        return [
            Finding("Kafka", "wrong", found, to_do),
            *unknown("topics", *workers, because="Kafka doesn't answer"),
        ]
    return [
        Finding("Kafka", "fine", f"at {settings.kafka_url}"),
        topics_finding(settings, topics),
        *[
            worker(role, group, trouble_of(settings, role, group, stuck, readers.transactions))
            for role, group in readers.groups.items()
        ],
    ]


async def _watched(settings: Settings, readers: Readers) -> tuple[Readers, list[Stuck]]:
    """Look on until everybody who has something to read has moved, or somebody hasn't for too long."""
    standstill, began = Standstill(), monotonic()
    standstill.look(readers.groups.values(), began)
    stuck = standstill.stuck(readers.groups.values(), 0.0, began)
    while any(not one.is_held or not readers.transactions for one in stuck):
        if monotonic() - began >= settings.stalled_after:
            break
        await asyncio.sleep(_PAUSE)
        readers, now = await look_at_readers(settings), monotonic()
        standstill.look(readers.groups.values(), now)
        stuck = standstill.stuck(readers.groups.values(), now - began, now)
    return readers, stuck


def topics_finding(settings: Settings, topics: Sequence[TopicState]) -> Finding:
    """All topics together: missing ones first, then partitions, then settings."""
    if missing := [topic.name for topic in topics if not topic.partitions]:
        return Finding("topics", "wrong", f"missing: {', '.join(missing)}", "upshot migrate")
    joined = {
        topic.name: topic.partitions
        for topic in topics
        if topic.name in (settings.topic("outcomes"), settings.topic("waits"))
    }
    if len(set(joined.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in joined.items())
        return Finding(
            "topics",
            "wrong",
            f"outcomes and waits need as many partitions each: {counts}",
            "add partitions to the smaller topic, then restart the workers",
        )
    if differing := [topic for topic in topics if topic.differs]:
        return _differing(differing)
    partitions = sum(topic.partitions for topic in topics)
    return Finding("topics", "fine", f"all {len(topics)}, {partitions} partitions, settings as declared")


def _differing(topics: Sequence[TopicState]) -> Finding:
    """Topics with other settings than declared; another clean-up policy loses records."""
    differences = [
        f"{topic.name}: {setting} is {found}, declared {declared}"
        for topic in topics
        for setting, (found, declared) in topic.differs.items()
    ]
    return Finding(
        "topics",
        "wrong" if any("cleanup.policy" in topic.differs for topic in topics) else "notice",
        "; ".join(differences),
        "set the topics back with kafka-configs, unless the difference is intended",
    )


def worker(role: str, group: Group, trouble: Trouble | None = None) -> Finding:
    """Whether any worker reads for the role, and how far behind the role is."""
    check = f"worker {role}"
    behind = ", ".join(f"{topic} {lag:,}" for topic, lag in group.lag.items() if lag)
    lag = f"{group.total_lag:,} records behind ({behind})" if behind else "nothing left to read"
    if not group.is_live:
        who = f"group {group.name} is {group.state} with {group.members} members; {lag}"
        return Finding(
            check, "wrong", who, f"upshot worker --role {role}, or look into its log; nothing is lost"
        )
    if trouble is not None:
        return Finding(check, "wrong", f"{trouble.found}; {lag}", trouble.to_do)
    members = f"{group.members} {'member' if group.members == 1 else 'members'}, {lag}"
    if group.total_lag > _FAR_BEHIND:
        return Finding(check, "notice", members, "if that doesn't shrink, start more workers")
    return Finding(check, "fine", members)


__all__ = ["examine_kafka", "topics_finding", "worker"]

"""Sending the plan to Kafka, and waiting until all of it is in ClickHouse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from upshot.demo.events import NAME, SOURCE, Message
from upshot.demo.plan import Plan
from upshot.errors import KafkaUnavailable, UnitFailed
from upshot.insights.reader import Reader
from upshot.settings import Settings
from upshot.streams.producer import event_producer

#: Unacknowledged events at a time.
_WINDOW = 500
#: Seconds without any new row until the demo gives up.
_PATIENCE = 60.0
_LOOK = 0.1

_STORED = f"""
SELECT
    (SELECT count() FROM runs WHERE startsWith(run_id, 'pr-')) AS runs,
    (SELECT count() FROM waits WHERE name = '{NAME}' AND startsWith(run_id, 'pr-')) AS waits,
    (SELECT count() FROM outcomes WHERE source = '{SOURCE}') AS outcomes,
    (SELECT count() FROM current_scores WHERE name = '{NAME}' AND startsWith(run_id, 'pr-')) AS scores
"""


class Progress(NamedTuple):
    """How far something is."""

    what: str
    done: int
    total: int


Report = Callable[[Progress], None]


async def send_bulk(settings: Settings, plan: Plan, report: Report) -> None:
    """Send the bulk in its order; return when all is acknowledged. Raises KafkaUnavailable."""
    what, total = "events into Kafka", len(plan.bulk)
    report(Progress(what, 0, total))
    async with event_producer(settings) as producer:
        for start in range(0, total, _WINDOW):
            part = plan.bulk[start : start + _WINDOW]
            try:
                results: list[Awaitable[RecordMetadata]] = [
                    await producer.send(message.topic, message.value, key=message.key) for message in part
                ]
                await asyncio.gather(*results)
            except KafkaError as error:
                raise KafkaUnavailable(f"Kafka did not take the demo's events ({error}): play it again") from None
            report(Progress(what, start + len(part), total))


async def wait_until_stored(
    reader: Reader, plan: Plan, sent: Sequence[Message], report: Report, *, patience: float = _PATIENCE
) -> None:
    """Return when ClickHouse has a row for each different event of `sent`, and each score that follows.

    Raises UnitFailed saying what is missing, when nothing new comes for `patience` seconds.
    """
    expected = _expected(sent)
    what, total = "rows in ClickHouse", sum(expected.values())
    best, since = -1, monotonic()
    while True:
        stored = await asyncio.to_thread(_stored, reader)
        done = sum(min(stored[name], count) for name, count in expected.items())
        report(Progress(what, done, total))
        if done == total:
            return
        if done > best:
            best, since = done, monotonic()
        elif monotonic() - since > patience:
            raise UnitFailed(_missing(expected, stored, patience))
        await asyncio.sleep(_LOOK)


def _expected(sent: Sequence[Message]) -> dict[str, int]:
    counts = {
        topic: len({message.key for message in sent if message.topic == topic})
        for topic in ("runs", "waits", "outcomes")
    }
    return counts | {"scores": counts["outcomes"]}


def _stored(reader: Reader) -> dict[str, int]:
    [row] = reader.query(_STORED).objects()
    return {name: int(count) for name, count in row.items()}


def _missing(expected: Mapping[str, int], stored: Mapping[str, int], patience: float) -> str:
    lacks = ", ".join(
        f"{stored[name]:,} of {count:,} {name}" for name, count in expected.items() if stored[name] < count
    )
    return (
        f"nothing new came to ClickHouse for {patience:g} s, it has {lacks}. What was sent is safe in Kafka; "
        "the workers' logs say what holds them up"
    )


__all__ = ["Progress", "Report", "send_bulk", "wait_until_stored"]

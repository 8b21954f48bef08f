"""A worker goes on with what the version before left: topics, changelogs, tables on disk, ClickHouse, spool.

`version_before/make.py` made the archive, with the code of commit 7db1d5b: waits that were decided, pending,
counting and about to expire, a subject with two hundred waits, a follow-up that waits for its event, and a
fact that Kafka hadn't taken.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.structs import OffsetAndMetadata
from pydantic import SecretStr

from tests.contract.rows import eventually
from upshot.cli.sending import send_events
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate, migrations
from upshot.sdk.delivery import Delivery, open_spool
from upshot.sdk.transport import KafkaTransport
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.connection import started

pytestmark = pytest.mark.stack

LEFT = Path(__file__).with_name("version_before")
#: The migrations of that version.
ITS_MIGRATIONS = 5
ENOUGH = 90.0
SCORES = "SELECT run_id, name, value, reason FROM current_scores WHERE run_id IN ({}) ORDER BY 1, 2"


@dataclass(frozen=True)
class State:
    """What the version left, unpacked; its topics and groups begin with `its_own` instead of `before`."""

    folder: Path
    its_own: str

    def lines(self, name: str) -> list[list[Any]]:
        """A file of JSON lines."""
        text = (self.folder / name).read_text().replace('"before', f'"{self.its_own}')
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module", params=["with its tables", "without its tables"])
def settings(
    request: pytest.FixtureRequest,
    kafka: KafkaServer,
    clickhouse: ClickHouseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """Where the roles of this version work on what was left, on disk or from the changelogs."""
    its_own = f"before{uuid4().hex[:6]}"
    state = State(tmp_path_factory.mktemp("before"), its_own)
    with tarfile.open(LEFT / "state.tar.xz") as archive:
        archive.extractall(state.folder, filter="data")
    tables = state.folder / "data" / "tables"
    for folder in list(tables.iterdir()):
        folder.rename(tables / folder.name.replace("before", its_own))
    if request.param == "without its tables":
        shutil.rmtree(tables)
    database = f"upshot_{its_own}"
    settings = Settings(
        kafka_url=kafka.bootstrap,
        clickhouse_url=SecretStr(urlsplit(clickhouse.url)._replace(path=f"/{database}").geturl()),
        data_dir=state.folder / "data",
        topic_prefix=f"{its_own}.",
        partitions=2,
    )
    rows_put_back(state, settings)
    asyncio.run(topics_put_back(state, settings))
    parts = [
        ProcessPart(
            role,
            role_command(role, "support:app" if role == "followups" else None),
            settings.data_dir,
            role_environment(settings)
            | {
                "UPSHOT_TOPIC_PREFIX": settings.topic_prefix,
                "UPSHOT_PARTITIONS": "2",
                "PYTHONPATH": str(LEFT),
            },
        )
        for role in ("correlate", "store", "followups")
    ]
    for part in parts:
        part.start()
    yield settings
    for part in parts:
        part.stop()


def rows_put_back(state: State, settings: Settings) -> None:
    """The rows, in the tables that the version had."""
    migrate(settings, known=migrations()[:ITS_MIGRATIONS])
    client = connect(settings)
    for file in sorted(state.folder.glob("raw_*.native")):
        if content := file.read_bytes():
            client.raw_insert(file.stem, insert_block=content, fmt="Native")
    client.close()


async def topics_put_back(state: State, settings: Settings) -> None:
    """The records at their offsets, and the groups' offsets."""
    [counts] = state.lines("topics.json")
    async with admin_client(settings) as admin:
        await admin.create_topics(
            [
                NewTopic(name, count, 1, topic_configs={"cleanup.policy": "compact"} | UNLIMITED)
                if name.endswith("-changelog") or name.endswith("experiments")
                else NewTopic(name, count, 1, topic_configs={"retention.ms": "-1"} | UNLIMITED)
                for name, count in counts.items()
            ]
        )
    async with started(settings, AIOKafkaProducer(bootstrap_servers=settings.kafka_url)) as producer:
        for topic, partition, offset, timestamp, key, value, headers in state.lines("records.jsonl"):
            sent = await producer.send_and_wait(
                topic,
                raw(value),
                key=raw(key),
                partition=partition,
                timestamp_ms=timestamp,
                headers=[(name, raw(text)) for name, text in headers],
            )
            assert sent.offset == offset
    for group in {line[0] for line in state.lines("offsets.jsonl")}:
        offsets = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata)
            for name, topic, partition, offset, metadata in state.lines("offsets.jsonl")
            if name == group
        }
        member = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_url, group_id=group, enable_auto_commit=False
        )
        async with started(settings, member) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)


UNLIMITED = {"max.message.bytes": str(16 * 1024 * 1024)}


def raw(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


def happened(settings: Settings, subject: str, type: str, ident: str, **data: Any) -> None:
    """An outcome, now."""
    event = {"type": type, "subject": subject, "id": ident, "source": "after", "data": data}
    event["time"] = datetime.now(UTC).isoformat()
    sent = OutgoingEvent("outcomes", subject, json.dumps(event).encode())
    asyncio.run(send_events(settings, TOPICS["outcomes"], [sent]))


def scores(settings: Settings, *runs: str, enough: int = 1) -> list[tuple[Any, ...]]:
    named = ", ".join(f"'{run}'" for run in runs)
    return eventually(settings, SCORES.format(named), lambda rows: len(rows) >= enough, ENOUGH)


def test_what_was_pending_is_answered(settings: Settings) -> None:
    happened(settings, "pr:pending", "pr.closed", "p1", merged=True)
    assert scores(settings, "r2") == [("r2", "merged", 1.0, "outcome")]


def test_a_deadline_that_passed_meanwhile_is_evaluated(settings: Settings) -> None:
    assert scores(settings, "r5") == [("r5", "merged", 0.0, "deadline")]


def test_a_count_goes_on(settings: Settings) -> None:
    happened(settings, "pr:counted", "thumb.up", "t3")
    sql = "SELECT max(value) FROM current_scores WHERE run_id = 'r3'"
    assert eventually(settings, sql, lambda rows: rows[0][0] == 3.0, ENOUGH) == [(3.0,)]


def test_a_last_outcome_replaces_the_one_known(settings: Settings) -> None:
    happened(settings, "pr:last", "pr.closed", "l2", merged=True)
    sql = "SELECT revision, value FROM scores WHERE run_id = 'r4' ORDER BY revision"
    assert eventually(settings, sql, lambda rows: len(rows) >= 2, ENOUGH) == [(1, 0.0), (2, 1.0)]


def test_an_early_outcome_meets_its_wait(settings: Settings) -> None:
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P3600D"}
    wait = {"run_id": "r8", "name": "merged", "subject": "pr:early", "rule": rule}
    wait["since"] = "2026-01-01T00:00:00Z"
    sent = OutgoingEvent("waits", "pr:early", json.dumps(wait).encode())
    asyncio.run(send_events(settings, TOPICS["waits"], [sent]))
    happened(settings, "pr:early", "pr.closed", "e1", merged=True)
    assert scores(settings, "r8") == [("r8", "merged", 1.0, "outcome")]


def test_every_wait_of_a_crowded_subject_is_answered(settings: Settings) -> None:
    happened(settings, "pr:crowded", "pr.closed", "c1", merged=False)
    sql = "SELECT count(), sum(value) FROM current_scores WHERE run_id LIKE 'c%'"
    assert eventually(settings, sql, lambda rows: rows[0][0] >= 200, ENOUGH) == [(200, 0.0)]


def test_what_was_decided_or_given_stays_and_is_decided_once(settings: Settings) -> None:
    happened(settings, "pr:decided", "pr.closed", "d2", merged=False)
    happened(settings, "pr:pending", "pr.closed", "p2", merged=False)
    assert scores(settings, "r1", enough=2) == [
        ("r1", "helpful", 0.5, "given"),
        ("r1", "merged", 1.0, "outcome"),
    ]
    sql = "SELECT max(revision) FROM scores WHERE run_id = 'r1' AND name = 'merged'"
    assert eventually(settings, sql, bool, 1.0) == [(1,)]


def test_a_follow_up_goes_on_with_its_steps_result(settings: Settings) -> None:
    happened(settings, "ticket:7", "ticket.reopened", "o1")
    assert scores(settings, "r6", enough=2) == [
        ("r6", "opinion", 1.0, "outcome"),
        ("r6", "stayed_closed", 0.0, "outcome"),
    ]
    sql = "SELECT comment FROM scores WHERE run_id = 'r6' AND name = 'opinion'"
    assert eventually(settings, sql, bool, 1.0) == [("read by the version before: 7",)]


def test_the_spool_is_sent(settings: Settings) -> None:
    delivery = Delivery(lambda: KafkaTransport(settings), lambda: open_spool(settings.spool, 1 << 20))
    delivery.resume()
    assert delivery.flush(ENOUGH)
    delivery.close(5.0)
    assert scores(settings, "r7") == [("r7", "spooled", 0.25, "given")]


def test_the_rows_of_before_are_there(settings: Settings) -> None:
    sql = "SELECT count() FROM waits WHERE run_id LIKE 'c%'"
    assert eventually(settings, sql, lambda rows: rows[0][0] >= 200, ENOUGH) == [(200,)]
    sql = "SELECT reason, count() FROM dead_letters GROUP BY reason"
    assert eventually(settings, sql, bool, ENOUGH) == [("not_json", 1)]

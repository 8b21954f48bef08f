"""The doctor: what it finds on a whole system, and with something missing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from tests.upshot_process import ANSWER, LOOK, WholeStack, upshot
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.ops.doctor.clickhouse import clocks, tables
from upshot.ops.doctor.kafka import topics_finding, worker
from upshot.ops.doctor.readers import read_by_roles, trouble_of
from upshot.processors.roles import ALWAYS
from upshot.processors.store.migrate import migrate, migrations
from upshot.schemas.dead_letters import MEANINGS
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.groups import Group
from upshot.streams.kafka.topic_states import TopicState

WORKERS = tuple(f"worker {role}" for role in ALWAYS)
METRICS = {
    *("metrics", "topics read", *(f"pace {role}" for role in ALWAYS)),
    *("recovery", "deadlines", "inserts", "memory"),
}
CHECKS = {
    *("Kafka", "topics", *WORKERS),
    *("ClickHouse", "clocks", "tables", "dead letters", "overdue waits", "unmatched scores", "follow-ups"),
    *("score kinds", "usage", "experiments", "assignments", "alert rules", "rows for reading", "receivers"),
}


def findings(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """The exit code, and each check's finding."""
    done = upshot("doctor", "--json", *arguments, environment=environment)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] == (done.returncode == 0)
    return done.returncode, {finding["check"]: finding for finding in answer["checks"]}


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: finding["state"] for name, finding in found.items()}


@pytest.mark.stack
def test_a_whole_system_is_fine(stack: WholeStack) -> None:
    code, found = findings("--data-dir", str(stack.data_dir))
    assert code == 0, found
    assert found.keys() == CHECKS | METRICS | {"data directory", "ports", "privacy", "ClickHouse's users"}
    assert not {name: state for name, state in states(found).items() if state in ("wrong", "unknown")}
    assert f"kafka {stack.ports['kafka']}" in found["ports"]["found"]
    assert f":{stack.ports['store']}/metrics" in found["metrics"]["found"]
    assert "8 partitions" in found["pace correlate"]["found"]
    said = stack.upshot("doctor")
    assert said.returncode == 0
    assert "Everything works." in said.stdout
    assert "\x1b" not in said.stdout


@pytest.mark.stack
def test_bad_input_is_noticed_with_an_example(stack: WholeStack) -> None:
    sent = stack.upshot("emit", "--no-validate", "exposures", text='{"run_id":"doctors"}')
    assert sent.returncode == 0, sent.stderr
    sent = stack.upshot("emit", "scores", text='{"run_id":"doctors-own","name":"n","value":1}')
    assert sent.returncode == 0, sent.stderr
    deadline = time.monotonic() + ANSWER
    while True:
        code, found = findings("--data-dir", str(stack.data_dir))
        if found["dead letters"]["state"] == found["unmatched scores"]["state"] == "notice":
            break
        assert time.monotonic() < deadline, found
        time.sleep(LOOK)
    assert code == 0
    assert "missing_field" in found["dead letters"]["found"]
    assert found["dead letters"]["to_do"].startswith(MEANINGS["missing_field"])
    assert "send it again" in found["dead letters"]["to_do"]
    assert "upshot emit runs" in found["unmatched scores"]["to_do"]


@pytest.fixture
def place(kafka: KafkaServer, clickhouse: ClickHouseServer, tmp_path: Path) -> dict[str, str]:
    """The environment of a system of its own, without topics, tables and workers."""
    name = f"upshot_doctor{uuid4().hex[:12]}"
    return {
        "UPSHOT_KAFKA_URL": kafka.bootstrap,
        "UPSHOT_CLICKHOUSE_URL": clickhouse.url.removesuffix("upshot") + name,
        "UPSHOT_TOPIC_PREFIX": name + ".",
        "UPSHOT_DATA_DIR": str(tmp_path),
    }


@pytest.mark.stack
def test_what_is_missing_is_named_one_after_the_other(place: dict[str, str]) -> None:
    code, found = findings(environment=place)
    assert code == 1
    assert found.keys() == CHECKS
    assert states(found) == {
        "Kafka": "fine",
        "topics": "wrong",
        **dict.fromkeys(WORKERS, "wrong"),
        "ClickHouse": "wrong",
        **dict.fromkeys(
            CHECKS - {"Kafka", "topics", "ClickHouse", *WORKERS},
            "unknown",
        ),
    }
    assert found["topics"]["to_do"] == found["ClickHouse"]["to_do"] == "upshot migrate"

    done = upshot("migrate", environment=place)
    assert done.returncode == 0, done.stderr
    code, found = findings(environment=place)
    assert code == 1
    assert {name for name, state in states(found).items() if state != "fine"} == {
        *WORKERS,
        "rows for reading",
    }
    assert "upshot worker --role store" in found["worker store"]["to_do"]


@pytest.mark.stack
def test_an_overdue_wait_is_wrong(place: dict[str, str]) -> None:
    settings = Settings(
        kafka_url=place["UPSHOT_KAFKA_URL"],
        clickhouse_url=place["UPSHOT_CLICKHOUSE_URL"],
        topic_prefix=place["UPSHOT_TOPIC_PREFIX"],
    )
    asyncio.run(ensure_topics(settings))
    migrate(settings)
    from upshot.processors.store.connection import connect

    client = connect(settings)
    client.command(
        "INSERT INTO raw_waits (subject, wait_id, run_id, name, opened_at, deadline) "
        "VALUES ('pr:late', 'w', 'r', 'merged', now64(6) - 7200, now64(6) - 3600)"
    )
    client.close()
    _, found = findings(environment=place)
    assert found["overdue waits"]["state"] == "wrong"
    assert "pr:late" in found["overdue waits"]["found"]


@pytest.mark.stack
def test_parts_that_are_away_are_named(place: dict[str, str]) -> None:
    code, found = findings(
        environment=place
        | {"UPSHOT_KAFKA_URL": "127.0.0.1:1", "UPSHOT_CLICKHOUSE_URL": "http://app:x@127.0.0.1:2/upshot"}
    )
    assert code == 1
    assert {name for name, state in states(found).items() if state == "wrong"} == {"Kafka", "ClickHouse"}
    assert "127.0.0.1:1" in found["Kafka"]["found"]
    assert found["dead letters"]["state"] == "unknown"


@pytest.mark.stack
def test_metrics_that_nobody_tells_are_wrong_where_they_were_named(stack: WholeStack) -> None:
    named = f"http://127.0.0.1:{stack.ports['store']}/metrics"
    code, found = findings(
        "--data-dir", str(stack.data_dir), "--metrics", f"{named}, http://127.0.0.1:1/metrics"
    )
    assert code == 1
    assert {name for name, state in states(found).items() if state == "wrong"} == {"metrics"}
    assert "no metrics at http://127.0.0.1:1/metrics" in found["metrics"]["found"]
    assert "pace store" in found and "pace correlate" not in found


def test_a_named_folder_without_a_stack_is_wrong(tmp_path: Path) -> None:
    code, found = findings("--data-dir", str(tmp_path))
    assert code == 1
    assert states(found) == {"data directory": "wrong"}
    assert found["data directory"]["to_do"] == f"upshot up --data-dir {tmp_path}"


def test_ports_that_nobody_listens_at_are_named(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"kafka":1,"clickhouse":2,"web":null}')
    code, found = findings("--data-dir", str(tmp_path))
    assert code == 1
    assert "kafka (1), clickhouse (2)" in found["ports"]["found"]
    (tmp_path / "ports.json").write_text("{")
    assert "can't be read" in findings("--data-dir", str(tmp_path))[1]["ports"]["found"]


def test_topics_that_differ() -> None:
    settings = Settings()
    alike = [TopicState(settings.topic(name), 4, {}) for name in TOPICS]
    assert topics_finding(settings, alike).state == "fine"

    fewer = [TopicState(t.name, 3 if t.name == "upshot.waits" else 4, {}) for t in alike]
    assert topics_finding(settings, fewer).state == "wrong"
    assert "upshot.waits has 3" in topics_finding(settings, fewer).found

    kept = [TopicState("upshot.runs", 4, {"retention.ms": ("1", "2")}), *alike[1:]]
    assert topics_finding(settings, kept).state == "notice"
    compacted = [TopicState("upshot.runs", 4, {"cleanup.policy": ("compact", "delete")}), *alike[1:]]
    assert topics_finding(settings, compacted).state == "wrong"
    assert "cleanup.policy is compact, declared delete" in topics_finding(settings, compacted).found


def test_a_worker_that_is_behind_or_away() -> None:
    assert worker("store", Group("g", "Stable", 1, {"upshot.runs": 0})).state == "fine"
    behind = worker("store", Group("g", "Stable", 1, {"upshot.runs": 2_000_000, "upshot.steps": 0}))
    assert (behind.state, "upshot.runs 2,000,000" in behind.found) == ("notice", True)
    assert worker("store", Group("g", "Empty", 0, {})).state == "wrong"
    alone = [TopicPartition("upshot.runs", number) for number in range(7)]
    group = Group("g", "Stable", 1, {}, alone)
    ownerless = worker("store", group, trouble_of(Settings(), "store", group))
    assert (ownerless.state, "upshot.runs/4 and 2 more" in ownerless.found) == ("wrong", True)
    assert worker("store", Group("g", "PreparingRebalance", 1, {})).state == "wrong"


def test_every_role_reads_something_declared() -> None:
    readers = read_by_roles(Settings())
    assert readers["upshot-correlate"] == ["upshot.outcomes", "upshot.waits"]
    assert "upshot.scores" in readers["upshot-store"]


def test_clocks_that_disagree() -> None:
    assert clocks(0.2).state == "fine"
    assert (clocks(3.0).state, "ahead of" in clocks(3.0).found) == ("notice", True)
    assert (clocks(-60.0).state, "behind" in clocks(-60.0).found) == ("wrong", True)


def test_tables_that_differ_from_this_release() -> None:
    known = migrations()
    applied = {(migration.number, migration.checksum) for migration in known}
    assert tables(applied, known).state == "fine"
    assert tables(set(), known).to_do == "upshot migrate"
    assert "newer release" in tables(applied | {(999, "x")}, known).to_do
    edited = {(number, "x") for number, _ in applied}
    assert "edited" in tables(edited, known).found

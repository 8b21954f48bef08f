"""The doctor's look at what agents keep until Kafka takes it: real files of the SDK's own spool."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from upshot.ops.doctor.spool import examine_spool
from upshot.sdk.spool import Spool
from upshot.streams.events.outgoing import OutgoingEvent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPACIOUS = 1_000_000


def fact(at: datetime) -> OutgoingEvent:
    event = {"run_id": "r1", "name": "helpful", "value": 0.8, "decided_at": at.isoformat()}
    return OutgoingEvent("scores", "r1", json.dumps(event).encode())


def test_without_a_spool_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert examine_spool(tmp_path / "spool", NOON) == []


def test_what_was_sent_leaves_nothing_to_do(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SPACIOUS)
    spool.append(fact(NOON - timedelta(hours=1)))
    spool.remove(spool.first(1))
    [found] = examine_spool(tmp_path, NOON)
    assert (found.state, found.found) == ("fine", f"no fact waits in {tmp_path} for Kafka")
    spool.close()


def test_facts_on_their_way_are_fine_and_those_held_up_are_noticed(tmp_path: Path) -> None:
    first, second = Spool(tmp_path, SPACIOUS), Spool(tmp_path, SPACIOUS)
    for spool, minutes in ((first, 0), (second, 0), (second, 30)):
        spool.append(fact(NOON + timedelta(minutes=minutes)))
    [found] = examine_spool(tmp_path, NOON + timedelta(seconds=5))
    assert (found.state, found.to_do) == ("fine", "")
    [found] = examine_spool(tmp_path, NOON + timedelta(hours=1))
    assert found.state == "notice"
    assert found.found == f"3 facts wait in {tmp_path} for Kafka, the first since 2026-01-01 12:00:00 UTC"
    assert "UPSHOT_KAFKA_URL" in found.to_do
    assert (len(first), len(second)) == (1, 2)


def test_what_no_broker_takes_is_told_of(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SPACIOUS)
    spool.append(fact(NOON))
    spool.refuse(spool.first(1)[0], "too large")
    [found] = examine_spool(tmp_path, NOON)
    assert found.state == "notice"
    assert "1 are put aside" in found.found
    assert "refused" in found.to_do


def test_a_file_that_is_no_spool_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "1-2.db").write_bytes(b"no database" * 100)
    [found] = examine_spool(tmp_path, NOON)
    assert found.state == "wrong"
    assert "1-2.db" in found.found

"""Nothing is lost at the edge: facts outlive Kafka's absence and the process; what is dropped is counted."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from upshot import App
from upshot.errors import SpoolFull
from upshot.sdk.delivery import Delivery, open_spool
from upshot.sdk.sender import QUEUE, QUEUE_BYTES
from upshot.sdk.spool import Spool
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.testing import MemoryTransport

PATIENCE = 60.0
"""Seconds until what must happen counts as never happening."""
LIMIT = 1 << 20


def fact(number: int) -> OutgoingEvent:
    return OutgoingEvent("scores", "r1", b"%d" % number)


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def delivery(transport: MemoryTransport, folder: Path) -> Iterator[Delivery]:
    made = Delivery(lambda: transport, functools.partial(open_spool, folder, LIMIT))
    yield made
    made.close(PATIENCE)


def numbers(transport: MemoryTransport) -> list[int]:
    return [int(message.value) for message in transport.messages]


def test_nothing_is_opened_before_something_is_said(delivery: Delivery, folder: Path) -> None:
    assert delivery.flush(0)
    delivery.close(0)
    assert not folder.exists()


def test_facts_come_in_order_and_leave_no_file(
    delivery: Delivery, transport: MemoryTransport, folder: Path
) -> None:
    for number in range(2000):
        delivery.fact(fact(number))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == list(range(2000))
    assert delivery.delivered.facts == 2000
    delivery.close(PATIENCE)
    assert list(folder.iterdir()) == []


def test_what_is_said_while_kafka_is_away_comes_later(
    delivery: Delivery, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.available = False
    for number in range(10):
        delivery.fact(fact(number))
    delivery.telemetry(lambda: OutgoingEvent("steps", "r1", b"10"))
    assert not delivery.flush(0.1)
    assert delivery.delivered.waiting == 10
    transport.available = True
    assert delivery.flush(PATIENCE)
    assert sorted(numbers(transport)) == list(range(11))
    assert (delivery.delivered.waiting, delivery.delivered.available) == (0, True)
    assert "takes events again" in caplog.text


def test_the_next_one_sends_what_is_left(
    delivery: Delivery, transport: MemoryTransport, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transport.available = False
    delivery.fact(fact(1))
    delivery.telemetry(lambda: OutgoingEvent("steps", "r1", b"2"))
    delivery.close(PATIENCE)
    assert "facts that Kafka doesn't have: 1, in" in caplog.text
    assert delivery.delivered.dropped == 1
    transport.available = True
    delivery.fact(fact(3))
    assert delivery.flush(PATIENCE)
    assert sorted(numbers(transport)) == [1, 3]


def test_what_belongs_to_a_process_that_runs_is_left_alone(
    delivery: Delivery, transport: MemoryTransport, folder: Path
) -> None:
    other = Spool(folder, LIMIT)
    other.append(fact(1))
    delivery.fact(fact(2))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [2]
    assert len(other) == 1
    other.close()


def test_a_file_that_cannot_be_read_stays_and_is_told_of(
    delivery: Delivery, transport: MemoryTransport, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "1-broken.db").write_bytes(b"this is no database" * 1000)
    delivery.fact(fact(1))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [1]
    assert "can't be read" in caplog.text
    assert (folder / "1-broken.db").exists()


def test_a_disk_that_takes_nothing_means_repeats_not_loss(
    delivery: Delivery, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.available = False
    delivery.fact(fact(1))
    spool = delivery._sender._spool
    assert spool is not None
    spool._db.execute("PRAGMA query_only = ON")
    transport.available = True
    assert not delivery.flush(1.0)
    assert "can't be written" in caplog.text
    spool._db.execute("PRAGMA query_only = OFF")
    assert delivery.flush(PATIENCE)
    assert set(numbers(transport)) == {1}
    assert delivery.delivered.facts == 1


def test_a_sender_that_fails_is_followed_by_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FailsOnce(MemoryTransport):
        async def start(self) -> None:
            if not failed.is_set():
                raise RuntimeError("a transport of somebody's own")
            await super().start()

    failed = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda what: failed.set())
    transport = FailsOnce()
    delivery = Delivery(lambda: transport, functools.partial(open_spool, folder, LIMIT))
    delivery.fact(fact(1))
    assert failed.wait(PATIENCE)
    delivery.fact(fact(2))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [1, 2]
    delivery.close(PATIENCE)


def test_resume_sends_what_is_left_without_a_new_fact(
    delivery: Delivery, transport: MemoryTransport, folder: Path
) -> None:
    left = Spool(folder, LIMIT)
    left.append(fact(1))
    left.close()
    delivery.resume()
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [1]


def test_a_full_spool_says_so_and_keeps_what_it_has(delivery: Delivery, transport: MemoryTransport) -> None:
    transport.available = False
    large = OutgoingEvent("scores", "r1", b"1" * (LIMIT // 2))
    delivery.fact(large)
    with pytest.raises(SpoolFull, match="UPSHOT_SPOOL_BYTES"):
        delivery.fact(large)
    assert (delivery.delivered.waiting, delivery.delivered.not_recorded) == (1, 1)
    transport.available = True
    assert delivery.flush(PATIENCE)
    delivery.fact(large)
    assert delivery.flush(PATIENCE)
    assert delivery.delivered.facts == 2


def test_telemetry_that_has_no_room_is_dropped_and_counted(
    delivery: Delivery, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.available = False
    for number in range(QUEUE + 1000):
        delivery.telemetry(lambda number=number: OutgoingEvent("steps", "r1", b"%d" % number))  # type: ignore[misc]
    dropped = delivery.delivered.dropped
    assert 0 < dropped <= 1000
    assert len([r for r in caplog.records if "telemetry is dropped" in r.message]) == 1
    transport.available = True
    assert delivery.flush(PATIENCE)
    assert delivery.delivered.telemetry == QUEUE + 1000 - dropped == len(transport.messages)


def test_large_telemetry_does_not_fill_the_memory(delivery: Delivery, transport: MemoryTransport) -> None:
    transport.available = False
    for _ in range(100):
        delivery.telemetry(lambda: OutgoingEvent("steps", "r1", b"1"), QUEUE_BYTES // 10)
    dropped = delivery.delivered.dropped
    # Some may have been taken from the queue before Kafka was found to be away.
    assert 0 < dropped <= 90
    transport.available = True
    assert delivery.flush(PATIENCE)
    assert delivery.delivered.telemetry == 100 - dropped


def test_a_step_that_cannot_be_told_keeps_nothing_back(
    delivery: Delivery, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> OutgoingEvent:
        raise ValueError("a price table of somebody's own")

    delivery.telemetry(broken)
    delivery.telemetry(lambda: None)
    delivery.telemetry(lambda: OutgoingEvent("steps", "r1", b"1"))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [1]
    assert delivery.delivered.dropped == 1
    assert "could not be made into an event" in caplog.text


def test_a_fact_that_is_never_taken_is_put_aside(
    transport: MemoryTransport, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    most = TOPICS["scores"].max_bytes
    delivery = Delivery(lambda: transport, functools.partial(open_spool, folder, 3 * most))
    delivery.fact(OutgoingEvent("scores", "r1", b"1" * (most + 1)))
    delivery.fact(fact(2))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [2]
    assert (delivery.delivered.facts, delivery.delivered.refused) == (1, 1)
    assert "was put aside" in caplog.text
    delivery.close(PATIENCE)
    [file] = folder.glob("*.db")
    kept = Spool(folder, LIMIT, path=file)
    [(message, reason)] = kept.refused()
    assert (len(message.value), "more than scores takes" in reason) == (most + 1, True)
    kept.close()


def test_without_a_folder_to_write_in_facts_are_kept_in_memory(
    transport: MemoryTransport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    delivery = Delivery(lambda: transport, functools.partial(open_spool, tmp_path / "file" / "spool", LIMIT))
    delivery.fact(fact(1))
    assert delivery.flush(PATIENCE)
    assert numbers(transport) == [1]
    assert "UPSHOT_SPOOL_DIR" in caplog.text
    delivery.close(PATIENCE)


def test_the_end_of_a_run_never_fails_the_agent(
    tmp_path: Path, transport: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.available = False
    settings = Settings(data_dir=tmp_path, spool_bytes=0)
    app = App("support", settings=settings, transport=lambda: transport)
    with caplog.at_level(logging.ERROR), app.run("helper") as run, pytest.raises(SpoolFull):
        run.score("helpful", True)
    assert f"the end of run {run.id}" in caplog.text
    assert app.delivered.not_recorded == 2
    app.close()

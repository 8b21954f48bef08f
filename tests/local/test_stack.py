"""The stack: in order up, in reverse order down, whatever dies in between is started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from upshot.errors import PartFailed
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.component import Component
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.stack import Stack

Until = Callable[[Callable[[], object]], None]
Gone = Callable[[int], bool]

# Tells a diary when it comes and when it goes.
WITNESS = """
import signal, sys, time
name, diary = sys.argv[1:]
def tell(what):
    with open(diary, "a") as file:
        file.write(f"{name} {what}\\n")
def leave(*_):
    tell("goes")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
tell("comes")
time.sleep(600)
"""
BY_ITSELF = """
import sys, threading
from pathlib import Path
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.stack import Stack
folder = Path(sys.argv[1])
parts = [KafkaServer(folder), ClickHouseServer(folder)]
told = lambda ports: print(*(part.pid for part in parts), flush=True)
Stack(folder, parts, when_ready=told).run(threading.Event())
"""


def witness(name: str, folder: Path, port: int | None = None) -> ProcessPart:
    diary = folder / "diary"
    ready = lambda: diary.exists() and f"{name} comes\n" in diary.read_text()  # noqa: E731
    return ProcessPart(
        name, [sys.executable, "-c", WITNESS, name, str(diary)], folder, ready=ready, port=port
    )


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """The stack runs in a thread for the length of the block, which begins at once."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            stack.run(stop)
        except PartFailed as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures


def test_up_in_order_and_down_in_reverse(tmp_path: Path, until: Until) -> None:
    stack = Stack(tmp_path, (witness(name, tmp_path) for name in ("a", "b", "c")))
    with running(stack):
        until(stack.ports_file.exists)
    assert (tmp_path / "diary").read_text().split("\n")[:-1] == [
        "a comes",
        "b comes",
        "c comes",
        "c goes",
        "b goes",
        "a goes",
    ]


def test_ports_are_written_once_all_is_ready_and_go_with_the_stack(tmp_path: Path, until: Until) -> None:
    told: list[dict[str, int | None]] = []
    (tmp_path / "ports.json").write_text("left by a stack that was killed")
    before: list[bool] = []

    def parts() -> Iterator[Component]:
        yield witness("a", tmp_path)
        before.append((tmp_path / "ports.json").exists())
        yield witness("web", tmp_path, port=8080)

    stack = Stack(tmp_path, parts(), when_ready=told.append)
    with running(stack):
        until(lambda: told)
        expected = {"kafka": None, "clickhouse": None, "web": 8080}
        assert json.loads(stack.ports_file.read_text()) == expected
    assert told == [expected]
    assert before == [False]
    assert not stack.ports_file.exists()


def test_a_part_that_does_not_come_up_ends_the_stack(tmp_path: Path, gone: Gone) -> None:
    good = witness("good", tmp_path)
    bad = ProcessPart("bad", [sys.executable, "-c", "raise SystemExit(7)"], tmp_path, ready=lambda: False)
    never = witness("never", tmp_path)
    stack = Stack(tmp_path, [good, bad, never])
    with pytest.raises(PartFailed, match="bad ended with exit code 7 before it was ready"):
        stack.run(threading.Event())
    assert not good.alive()
    assert (tmp_path / "diary").read_text() == "good comes\ngood goes\n"
    assert not stack.ports_file.exists()


def test_one_stack_per_folder(tmp_path: Path, until: Until) -> None:
    first = Stack(tmp_path, [witness("a", tmp_path)])
    with running(first):
        until(first.ports_file.exists)
        second = Stack(tmp_path, [witness("b", tmp_path)])
        with pytest.raises(
            PartFailed, match=rf"a stack already runs in .*, started by process {os.getpid()}"
        ):
            second.run(threading.Event())
        assert first.ports_file.exists()
        assert first.parts[0].alive()


def test_what_dies_is_started_again_and_said(tmp_path: Path, until: Until) -> None:
    lines: list[str] = []
    part = witness("a", tmp_path)
    stack = Stack(tmp_path, [part, witness("b", tmp_path)], report=lines.append)
    with running(stack):
        until(stack.ports_file.exists)
        first = part.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: "a runs again" in lines)
        assert part.pid != first
    log = tmp_path / "logs" / "a.log"
    assert lines == [
        f"a was ended by SIGKILL; it is started again in 0.5 s; its log is {log}",
        "a runs again",
    ]


def test_what_keeps_dying_is_given_more_and_more_time(tmp_path: Path, until: Until) -> None:
    lines: list[str] = []
    weak = witness("weak", tmp_path)
    stack = Stack(tmp_path, [weak], report=lines.append)
    with running(stack):
        until(stack.ports_file.exists)
        for delay in ("0.5", "1", "2"):
            until(weak.alive)
            os.kill(weak.pid, signal.SIGKILL)
            line = f"weak was ended by SIGKILL; it is started again in {delay} s; its log is {weak.log}"
            until(partial(lines.__contains__, line))


def test_a_part_that_waits_for_a_dead_one_does_not_hold_up_its_restart(tmp_path: Path, until: Until) -> None:
    """The worker can only answer once the broker is back, and is started again before it."""
    broker = witness("broker", tmp_path)
    worker = ProcessPart(
        "worker", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, ready=broker.alive
    )
    lines: list[str] = []
    stack = Stack(tmp_path, [broker, worker], report=lines.append, ready_within=600)
    with running(stack):
        until(stack.ports_file.exists)
        os.kill(worker.pid, signal.SIGKILL)
        until(lambda: lines)
        os.kill(broker.pid, signal.SIGKILL)
        until(lambda: {"worker runs again", "broker runs again"} <= set(lines))


def test_a_stop_while_it_starts_is_heeded(tmp_path: Path, until: Until) -> None:
    slow = ProcessPart(
        "slow", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, ready=lambda: False
    )
    stack = Stack(tmp_path, [slow], ready_within=600)
    with running(stack):
        until(slow.alive)
    assert not slow.alive()
    assert not stack.ports_file.exists()


@pytest.mark.stack
def test_the_real_parts_as_one(tmp_path: Path, until: Until) -> None:
    kafka, clickhouse = KafkaServer(tmp_path), ClickHouseServer(tmp_path)
    lines: list[str] = []
    stack = Stack(tmp_path, [kafka, clickhouse], report=lines.append)
    with running(stack):
        until(stack.ports_file.exists)
        ports = {"kafka": kafka.port, "clickhouse": clickhouse.http_port, "web": None}
        assert json.loads(stack.ports_file.read_text()) == ports
        os.kill(kafka.pid, signal.SIGKILL)
        os.kill(clickhouse.pid, signal.SIGKILL)
        until(lambda: {"kafka runs again", "clickhouse runs again"} <= set(lines))
        assert kafka.ready()
        assert clickhouse.ready()
        assert ports == {"kafka": kafka.port, "clickhouse": clickhouse.http_port, "web": None}
    assert not kafka.alive()
    assert not clickhouse.alive()


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_real_parts_end_with_the_command(
    tmp_path: Path, until: Until, gone: Gone, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BY_ITSELF, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            pids = [int(pid) for pid in process.stdout.readline().split()]
            assert [gone(pid) for pid in pids] == [False, False]
            assert (tmp_path / "ports.json").exists()
            process.send_signal(number)
            code = process.wait()
        finally:
            process.kill()
    if number != signal.SIGKILL:
        assert code == 0
        assert all(gone(pid) for pid in pids)
        assert not (tmp_path / "ports.json").exists()
    until(lambda: all(gone(pid) for pid in pids))

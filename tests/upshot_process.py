"""The command `upshot` as a process of its own, as people run it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upshot.local.guard import PR_SET_PDEATHSIG
from upshot.settings import Settings, load_settings

START = 180.0
#: All that was ever started here.
STARTED: list[Running] = []
"""Seconds until a start counts as failed: far above what it takes, since the first one fetches Kafka."""
ANSWER = 60.0
LOOK = 0.1
_libc = ctypes.CDLL(None)


def clean_environment() -> dict[str, str]:
    """Without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UPSHOT_")}
    return kept | {"NO_COLOR": "1"}


def upshot(
    *arguments: str,
    text: str | None = None,
    environment: dict[str, str] | None = None,
    within: float = ANSWER,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "upshot.cli", *arguments],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        timeout=within,
        env=clean_environment() | (environment or {}),
    )


@dataclass
class Running:
    """A command that goes on until it is told to stop. `said` is where its output goes."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    metadata: Path

    def wait_ready(self) -> dict[str, int]:
        """The ports of the stack, once all of it is up."""
        file = self.data_dir / "ports.json"
        deadline = time.monotonic() + START
        while not file.exists():
            assert self.process.poll() is None, self.metadata.read_text()
            assert time.monotonic() < deadline, self.metadata.read_text()
            time.sleep(LOOK)
        ports: dict[str, int] = json.loads(file.read_text())
        return ports

    def wait_said(self, words: str, times: int = 1) -> None:
        """Until its output has these words, so many times."""
        deadline = time.monotonic() + START
        while self.metadata.read_text().count(words) < times:
            assert self.process.poll() is None, self.metadata.read_text()
            assert time.monotonic() < deadline, self.metadata.read_text()
            time.sleep(LOOK)

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Send a signal, as Ctrl-C does; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(START)


def start(data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> Running:
    """Start a command that runs in `data_dir`, on free ports if it's `up`."""
    ports = ["--kafka-port", "0", "--clickhouse-port", "0", "--web-port", "0"] if arguments[0] == "up" else []
    return begin(data_dir, *arguments, "--data-dir", str(data_dir), *ports, environment=environment)


def begin(data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> Running:
    """Start a command with just these arguments; what it says goes to a file in `data_dir`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    said = data_dir / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "upshot.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment() | (environment or {}),
            start_new_session=True,
            preexec_fn=_end_with_the_tests,
        )
    STARTED.append(running := Running(process, data_dir, said))
    return running


def _end_with_the_tests() -> None:
    """A test run that is killed leaves no stack behind: Linux then ends the started command by SIGTERM."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def descendants(pid: int) -> set[int]:
    """All processes below this one."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found, known = set[int](), {pid}
    while more := {child for child, parent in parents if parent in known} - known:
        known |= more
        found |= more
    return found


def gone(pids: set[int]) -> bool:
    """Whether none of them is left."""
    deadline = time.monotonic() + START
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return not left


@dataclass
class WholeStack:
    """A whole system, started by `upshot up`."""

    data_dir: Path
    ports: dict[str, int]
    settings: Settings

    def upshot(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command against this stack."""
        return upshot(*arguments, "--data-dir", str(self.data_dir), text=text)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query that must work."""
        done = self.upshot("query", "--json", sql)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def eventually(self, sql: str, wanted: list[dict[str, Any]]) -> None:
        """The query gives these rows before long."""
        deadline = time.monotonic() + ANSWER
        while (rows := self.query(sql)) != wanted:
            assert time.monotonic() < deadline, f"{rows} is not {wanted}"
            time.sleep(LOOK)


def whole_stack(running: Running) -> WholeStack:
    """What a started `upshot up` is, once it's ready."""
    ports = running.wait_ready()
    return WholeStack(running.data_dir, ports, load_settings({}, data_dir=running.data_dir))


__all__ = [
    "Running",
    "WholeStack",
    "begin",
    "clean_environment",
    "descendants",
    "gone",
    "start",
    "upshot",
    "whole_stack",
]

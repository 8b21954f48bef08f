"""One supervisor for the stack's components and for a worker's roles, with one kind of pauses."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event, Thread

import pytest

from upshot.backoff import Backoff, pause_after
from upshot.cli.roles import supervise
from upshot.local.component import Component, how_it_ended
from upshot.local.process import ProcessPart
from upshot.local.roles import RoleProcess
from upshot.local.supervisor import Supervisor
from upshot.settings import Settings


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.pause() == 0.5


def test_a_million_failures_are_no_larger_pause() -> None:
    assert pause_after(10**6, 1, 300_000_000) == 300_000_000


class UselessToRestart(Exception):
    pass


def test_an_end_that_no_restart_helps_ends_the_supervision(tmp_path: Path) -> None:
    def check_end(part: Component) -> None:
        assert part.last_end() == "ended with exit code 3"
        raise UselessToRestart

    supervisor = Supervisor(check_end=check_end)
    supervisor.start(ProcessPart("a", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path))
    try:
        with pytest.raises(UselessToRestart):
            supervisor.supervise(Event())
    finally:
        supervisor.stop()


def test_a_role_with_a_wrong_configuration_ends_all(tmp_path: Path) -> None:
    codes: list[int] = []
    settings = Settings(kafka_url="127.0.0.1:1", data_dir=tmp_path)
    thread = Thread(target=lambda: codes.append(supervise(settings, ["correlate", "sources"])))
    thread.start()
    thread.join(60)
    assert codes == [2]


def test_a_role_is_a_component(tmp_path: Path) -> None:
    role: Component = RoleProcess(Settings(kafka_url="127.0.0.1:1", data_dir=tmp_path), "correlate", 1)
    assert (role.name, role.alive(), role.last_end()) == ("correlate-1", False, "was not started")
    role.start()
    assert role.alive()
    assert role.ready()
    role.kill()
    assert role.last_end() == "was ended by SIGKILL"
    role.stop(1.0)
    assert how_it_ended(0) == "ended with exit code 0"

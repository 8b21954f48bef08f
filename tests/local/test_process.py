"""A part is a process that is told apart from its supervisor, and never outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from upshot.errors import PartFailed
from upshot.local.guard import LOG_BYTES
from upshot.local.process import ProcessPart

START = 30.0


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-u", "-c", code]


@contextmanager
def running(part: ProcessPart) -> Iterator[ProcessPart]:
    part.start()
    try:
        part.wait_ready(START)
        yield part
    finally:
        part.stop()


def test_it_runs_in_a_session_of_its_own_with_its_log(tmp_path: Path, until: Callable[..., None]) -> None:
    script = "import os, time; print(os.environ['COLOUR']); time.sleep(1000)"
    with running(ProcessPart("talker", python(script), tmp_path, {"COLOUR": "green"})) as part:
        until(lambda: part.log.read_text() == "green\n")
        assert part.log == tmp_path / "logs" / "talker.log"
        assert os.getsid(part.pid) != os.getsid(0)
        assert os.getpgid(part.pid) != os.getpgrp()
    assert not part.alive()
    assert part.last_end() == "was ended by SIGTERM"
    with pytest.raises(PartFailed, match="talker does not run"):
        _ = part.pid


def test_it_is_asked_to_end_first(tmp_path: Path, until: Callable[..., None]) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('tidied up'))\n"
        "print('ready')\n"
        "time.sleep(1000)"
    )
    part = ProcessPart("tidy", python(script), tmp_path, ready=lambda: "ready" in part.log.read_text())
    with running(part):
        pass
    assert part.log.read_text() == "ready\ntidied up\n"
    assert part.last_end() == "ended with exit code 1"


def test_one_that_does_not_listen_is_ended_by_force(tmp_path: Path) -> None:
    script = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready')\ntime.sleep(1000)"
    )
    part = ProcessPart("deaf", python(script), tmp_path, ready=lambda: "ready" in part.log.read_text())
    with running(part):
        part.stop(timeout=0.2)
        assert part.last_end() == "was ended by SIGKILL"


def test_one_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    part = ProcessPart(
        "hasty", python("print('no disk'); raise SystemExit(3)"), tmp_path, ready=lambda: False
    )
    part.start()
    with pytest.raises(PartFailed, match=r"hasty ended with exit code 3 before it was ready(?s:.*)no disk"):
        part.wait_ready(START)
    part.stop()


def test_one_that_never_answers_is_reported(tmp_path: Path) -> None:
    part = ProcessPart("mute", ["sleep", "1000"], tmp_path, ready=lambda: False)
    part.start()
    try:
        with pytest.raises(PartFailed, match=r"mute is not ready after 0\.1 s"):
            part.wait_ready(0.1)
        assert part.alive()
    finally:
        part.stop()


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    part = ProcessPart("ghost", ["no-such-command-anywhere"], tmp_path)
    with pytest.raises(PartFailed, match="cannot run no-such-command-anywhere"):
        part.start()
    assert not part.alive()


def test_after_a_kill_it_starts_again(tmp_path: Path) -> None:
    with running(ProcessPart("phoenix", ["sleep", "1000"], tmp_path)) as part:
        first = part.pid
        part.kill()
        assert not part.alive()
        part.start()
        assert part.pid != first


def test_its_folder_is_its_own_while_it_runs(tmp_path: Path) -> None:
    second = ProcessPart("only", ["sleep", "1000"], tmp_path)
    with running(ProcessPart("only", ["sleep", "1000"], tmp_path)) as first:
        with pytest.raises(PartFailed, match=rf"only already runs in .*, started by process {os.getpid()}"):
            second.start()
        assert first.alive()
    with running(second):
        assert second.alive()


def test_what_a_part_started_ends_with_it(
    tmp_path: Path, until: Callable[..., None], gone: Callable[[int], bool]
) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"
    part = ProcessPart("parent", python(script), tmp_path)
    part.start()
    try:
        until(lambda: not part.alive())
        child = int(part.log.read_text())
        until(lambda: gone(child))
    finally:
        part.stop()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_its_supervisor_dies(
    tmp_path: Path, until: Callable[..., None], gone: Callable[[int], bool], end: signal.Signals
) -> None:
    supervisor = (
        "import sys, time\nfrom pathlib import Path\nfrom upshot.local.process import ProcessPart\n"
        "part = ProcessPart('orphan', ['sleep', '1000'], Path(sys.argv[1]))\n"
        "part.start()\nprint(part.pid, flush=True)\ntime.sleep(1000)"
    )
    command = [sys.executable, "-c", supervisor, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not gone(pid)
        process.send_signal(end)
    until(lambda: gone(pid))
    with running(ProcessPart("orphan", ["sleep", "1000"], tmp_path)) as heir:
        assert heir.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_it_ends_when_its_guard_dies(
    tmp_path: Path, until: Callable[..., None], gone: Callable[[int], bool]
) -> None:
    with running(ProcessPart("guarded", ["sleep", "1000"], tmp_path)) as part:
        pid = part.pid
        guard = int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)]))
        os.kill(guard, signal.SIGKILL)
        until(lambda: gone(pid))
        until(lambda: not part.alive())


def test_a_new_supervisor_waits_for_what_the_killed_one_left(
    tmp_path: Path, until: Callable[..., None], gone: Callable[[int], bool]
) -> None:
    orphan = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), sys.exit()))\n"
        "print('ready', flush=True)\ntime.sleep(1000)"
    )
    supervisor = (
        "import sys, time\nfrom pathlib import Path\nfrom upshot.local.process import ProcessPart\n"
        "part = ProcessPart('slow', [sys.executable, '-c', sys.argv[2]], Path(sys.argv[1]),"
        " ready=lambda: part.log.exists() and part.log.read_text())\n"
        "part.start()\npart.wait_ready(60)\nprint(part.pid, flush=True)\ntime.sleep(1000)"
    )
    command = [sys.executable, "-c", supervisor, str(tmp_path), orphan]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    assert not gone(pid)
    with running(ProcessPart("slow", ["sleep", "1000"], tmp_path)):
        assert gone(pid)


def test_logs_are_capped_and_keep_the_end(tmp_path: Path, until: Callable[..., None]) -> None:
    part = ProcessPart("talker", python("print('\\n'.join(map(str, range(1_500_000))))"), tmp_path)
    part.start()
    until(lambda: not part.alive())
    part.stop()
    assert part.log.read_text().endswith("\n1499999\n")
    for log in (part.log, part.log.with_name("talker.log.1")):
        assert 0 < log.stat().st_size <= LOG_BYTES + 65_536

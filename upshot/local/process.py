"""A component run as a child process: spawned behind a guard, probed, ended with its supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from errno import EPERM
from pathlib import Path
from typing import Literal

from upshot.errors import PartFailed
from upshot.local import guard
from upshot.local.component import how_it_ended
from upshot.local.lock import lock
from upshot.private_files import close_tree, is_open, private_folder

LOOK = 0.05
LOG_TAIL_LINES = 12
#: What a program needs to find its libraries, its language and its time.
_OF_SYSTEM = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"),
    }
)
LOG_TAIL_BYTES = 8_192


@dataclass(frozen=True)
class Launch:
    """How to run a command: `end` asks the command to end, by a signal or by the end of the command's stdin.

    A command without `ours` gets little of this process's environment, which may hold anybody's secrets.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    end: Literal["SIGTERM", "EOF"] = "SIGTERM"
    ours: bool = True

    @property
    def environment(self) -> dict[str, str]:
        """The child's environment: this process's, with the given changes."""
        stored = {name: value for name, value in os.environ.items() if self.ours or _is_of_system(name)}
        return stored | dict(self.env)


def close_data_dir(data_dir: Path) -> bool:
    """Make the directory if missing; close the directory, and the logs and the run's files inside, to others.

    Returns whether the directory stays open because of other purposes. Raises PartFailed where this user
    can't use the directory.
    """
    try:
        private_folder(data_dir)
        if data_dir.stat().st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
            raise PermissionError(EPERM, "it belongs to another user")
        for name in ("logs", "run", "tables", "spool"):
            close_tree(data_dir / name)  # as an earlier version left it
        for name in ("logs", "run"):
            private_folder(data_dir / name)
        return is_open(data_dir)
    except OSError as error:
        raise PartFailed(
            f"the data directory {data_dir} can't be used ({error.strerror}); nothing was started: choose "
            "one that is this user's (--data-dir)"
        ) from None


def _is_of_system(name: str) -> bool:
    return name in _OF_SYSTEM or name.startswith("LC_")


class ProcessPart:
    """A component running `argv`, ready when `ready()` returns true.

    The command runs in a session of its own, so Ctrl-C in the terminal reaches the supervisor alone. The
    command ends with this process, however this process ends (see `guard.py`). The output is in
    `data_dir/logs/<name>.log`. Only one component of a name runs in a data directory at a time.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        ready: Callable[[], bool] = lambda: True,
        *,
        port: int | None = None,
    ) -> None:
        self._name = name
        self._data_dir = data_dir.resolve()
        self._launch = Launch(argv, env or {})
        self._ready = ready
        self._listens_at = port
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def data_dir(self) -> Path:
        return self._data_dir

    @property
    def log(self) -> Path:
        return self._data_dir / "logs" / f"{self._name}.log"

    @property
    def port(self) -> int | None:
        return self._listens_at

    @property
    def pid(self) -> int:
        if not self.alive():
            raise PartFailed(f"{self._name} does not run; its log is {self.log}")
        return self._pid

    def prepare(self) -> Launch:
        """The command to run. Called with the lock held and nothing running; subclasses make files here."""
        return self._launch

    def ready(self) -> bool:
        """Whether the component answers; asked again and again during the start."""
        return self._ready()

    def start(self) -> None:
        close_data_dir(self._data_dir)
        held = lock(self._data_dir / "run" / f"{self._name}.lock", self._name)
        try:
            self.kill()  # the pipes of a dead child are still open
            self._spawn(self.prepare(), held)
        finally:
            os.close(held)  # from here on the guard alone holds the lock

    def _spawn(self, launch: Launch, held: int) -> None:
        # -I -S: the guard needs the standard library alone, and must not meet the user's modules.
        own = [sys.executable, "-I", "-S", guard.__file__, str(self.log), launch.end]
        started = subprocess.Popen(
            [*own, *launch.argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=launch.environment,
            umask=0o077,
            cwd=launch.cwd,
            start_new_session=True,
            pass_fds=[held],
        )
        assert started.stdout is not None
        first_line = started.stdout.readline().decode().strip()
        self._guard = started
        if not first_line.isdigit():
            self._close()
            raise PartFailed(f"{self._name} could not be started: {first_line or 'its guard died'}")
        self._pid = int(first_line)

    def alive(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def wait_ready(self, timeout: float, stop: threading.Event | None = None) -> None:
        stop = stop or threading.Event()
        deadline = time.monotonic() + timeout
        while not (self.alive() and self.ready()):
            if not self.alive():
                raise PartFailed(f"{self._name} {self.last_end()} before it was ready. {self.log_tail()}")
            if time.monotonic() > deadline:
                raise PartFailed(f"{self._name} is not ready after {timeout:g} s. {self.log_tail()}")
            if stop.wait(LOOK):
                return

    def stop(self, timeout: float = 20.0) -> None:
        if self._guard is None:
            return
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(timeout)
        self.kill()

    def kill(self) -> None:
        if self._guard is None:
            return
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._guard.wait()
        self._close()

    def last_end(self) -> str:
        """How the process ended, as text for people."""
        code = None if self._guard is None else self._guard.poll()
        if code is None and self._guard is not None:
            return "runs"
        return how_it_ended(128 - code if code and code > 128 else code)  # the guard's way to tell a signal

    def log_tail(self) -> str:
        """Where the log is, and its last lines."""
        try:
            text = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        except FileNotFoundError:
            return f"It wrote no log ({self.log})."
        lines = text.splitlines()[-LOG_TAIL_LINES:]
        return "\n  ".join([f"The end of its log, {self.log}:", *lines]) if lines else f"Its log: {self.log}"

    def _close(self) -> None:
        """Close the pipes of an ended guard; the exit code stays known."""
        assert self._guard is not None
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._guard.wait()


__all__ = ["Launch", "ProcessPart", "close_data_dir"]

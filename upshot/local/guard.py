"""Run a command, keep the command's log, and end the command when the pipe on stdin closes.

    guard.py LOG HOW COMMAND...      HOW is `SIGTERM` or `EOF`: how the command is asked to end

Prints the command's process id on stdout; exits with the command's exit code (128 + n when signal n ended the
command).

The supervisor holds the other end of the pipe, so the pipe closes however the supervisor dies, kill -9
included: the pipe needs nothing but POSIX, so macOS has the same protection. (PR_SET_PDEATHSIG alone would
not do: the option is Linux only, and fires when the *thread* that started the child ends.) The guard itself
has a single thread, so on Linux the guard does use PR_SET_PDEATHSIG, lest its own death leaves the command
behind.

Started as a file and with the standard library alone: the guard is a small process beside each component.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

LOG_BYTES = 8 * 1024 * 1024
"""A log is moved to `<name>.log.1` at this size, so a component's logs never take more than twice this."""
GRACE = 20.0
"""Seconds a command has to end when its supervisor is gone; a supervisor that lives decides itself."""
LOOK = 0.5
"""Seconds between looks at a command that closed its output or left it to a child of its own."""
PR_SET_PDEATHSIG = 1


class RollingLog:
    """A log file with a cap. A full disk costs log lines, never the component."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab")

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._file.tell() > LOG_BYTES:
                self._file.close()
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file = self._path.open("ab")
            self._file.write(data)
            self._file.flush()


def spawn(how: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own, tied to this process where the system can."""
    guard = os.getpid()
    libc = ctypes.CDLL(None)

    def tie() -> None:
        if sys.platform == "linux":
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != guard:
                os._exit(1)

    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE if how == "EOF" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=tie,
    )


class Guard:
    """The loop: copies output to the log until the command has ended."""

    def __init__(self, child: subprocess.Popen[bytes], how: str, log: RollingLog) -> None:
        assert child.stdout is not None
        self._child = child
        self._how = how
        self._log = log
        self._output: IO[bytes] = child.stdout
        self._watched: list[IO[bytes]] = [sys.stdin.buffer, self._output]
        self._kill_at: float | None = None
        os.set_blocking(self._output.fileno(), False)

    def run(self) -> int:
        while self._child.poll() is None:
            readable, _, _ = select.select(self._watched, [], [], LOOK)
            if self._output in readable and not self._copy():
                self._watched.remove(self._output)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(LOOK)
            if sys.stdin.buffer in readable:
                self._watched.remove(sys.stdin.buffer)
                self.ask_to_end()
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self._signal_group(signal.SIGKILL)
        self._copy()
        self._signal_group(signal.SIGKILL)  # whatever the command left behind
        return self._child.returncode

    def ask_to_end(self) -> None:
        """Ask the command to end, once; after GRACE seconds the end is forced."""
        if self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + GRACE
        if self._how == "EOF" and self._child.stdin is not None:
            self._child.stdin.close()
        else:
            self._signal_group(signal.SIGTERM)

    def _copy(self) -> bool:
        """Move the available output to the log; False once the output is closed."""
        while True:
            try:
                data = os.read(self._output.fileno(), 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log.write(data)

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)


def main(log: str, how: str, *command: str) -> int:
    try:
        child = spawn(how, list(command))
    except OSError as error:
        sys.stdout.write(f"cannot run {command[0]}: {error.strerror}\n")
        return 127
    guard = Guard(child, how, RollingLog(Path(log)))
    signal.signal(signal.SIGTERM, lambda *_: guard.ask_to_end())
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    code = guard.run()
    return code if code >= 0 else 128 - code


__all__ = ["LOG_BYTES", "main"]

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""A worker as a process, and its use of time, memory and disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from upshot.local.roles import role_command, role_environment
from upshot.settings import Settings


class Worker:
    """The role `correlate`; its log is in `folder`, its tables where the settings say."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        name: str = "worker",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._environment = environment
        self._settings = settings.model_copy(update={"worker_id": name})
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start; returns the seconds until the worker works."""
        began = time.monotonic()
        self.launch()
        self._wait_for("works on", 900)
        return time.monotonic() - began

    def launch(self) -> None:
        """Start, and don't wait."""
        self._place = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                role_command("correlate"),
                env={**os.environ, **role_environment(self._settings), **self._environment},
                stdout=log,
                stderr=log,
            )

    def partitions(self) -> int:
        """The number of partitions reported last; 0 before the first report."""
        found = re.findall(r"works on (\d+) partitions", self._said())
        return int(found[-1]) // 2 if found else 0

    def recovered(self) -> str:
        """The worker's last log line about reading its changelog."""
        found = re.findall(r"recovered .*", self._said())
        return found[-1] if found else "nothing to read"

    def kill(self) -> None:
        """End the worker like a power cut."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the worker by SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)

    @property
    def is_running(self) -> bool:
        """Whether the worker has not ended."""
        return self._process is not None and self._process.poll() is None

    def rss(self) -> tuple[int, int]:
        """Resident bytes now, and at the most."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        now, peak = (re.search(rf"{name}:\s+(\d+)", status) for name in ("VmRSS", "VmHWM"))
        assert now and peak
        return int(now[1]) * 1024, int(peak[1]) * 1024

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget(self) -> None:
        """Remove the worker's tables, as after a move to another machine."""
        shutil.rmtree(self._settings.tables, ignore_errors=True)

    def _said(self) -> str:
        return self._log.read_bytes()[self._place :].decode() if self._log.exists() else ""

    def _wait_for(self, words: str, patience: float) -> None:
        assert self._process is not None
        give_up = time.monotonic() + patience
        while words not in self._said():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"the worker doesn't work, see {self._log}")
            time.sleep(0.05)


def bytes_of(folder: Path) -> int:
    """The size of a folder's files on disk."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_blocks * 512
        except FileNotFoundError:  # compacted away meanwhile
            continue
    return found


__all__ = ["Worker", "bytes_of"]

"""The workers of one group, as processes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack

from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.settings import Settings

#: What a worker says in its log when it has its share.
_SHARE = re.compile(r"works on (\d+) partitions")
_PATIENCE = 120.0


class Group:
    """Starts and ends workers of the join; `cleanup` stops the remaining workers."""

    def __init__(self, settings: Settings, cleanup: ExitStack) -> None:
        self._settings = settings
        self._cleanup = cleanup
        self._parts: dict[str, ProcessPart] = {}

    def start(self, name: str | None = None) -> str:
        """Start a worker, or restart the worker of this name."""
        name = name or f"worker-{len(self._parts) + 1}"
        settings = self._settings
        environment = role_environment(settings) | {
            "UPSHOT_TOPIC_PREFIX": settings.topic_prefix,
            "UPSHOT_PARTITIONS": str(settings.partitions),
            "UPSHOT_STANDBY_REPLICAS": str(settings.standby_replicas),
        }
        part = ProcessPart(name, role_command("correlate"), settings.data_dir, environment)
        part.log.unlink(missing_ok=True)
        part.start()
        self._cleanup.callback(part.stop)
        self._parts[name] = part
        return name

    def stop(self, name: str) -> None:
        """End the worker by SIGTERM."""
        self._parts[name].stop()

    def kill(self, name: str) -> None:
        """End the worker by SIGKILL."""
        self._parts[name].kill()

    def restart(self, name: str) -> None:
        """Kill the worker (SIGKILL) and restart it at once, under the same name in its group."""
        self._parts[name].kill()
        self._parts[name].start()

    def running(self) -> list[str]:
        return sorted(name for name, part in self._parts.items() if part.alive())

    def share(self, name: str) -> int:
        """The number of the worker's partitions of an input; 0 before the first report."""
        log = self._parts[name].log
        found = _SHARE.findall(log.read_text()) if log.exists() else []
        return int(found[-1]) // 2 if found else 0

    def shares(self, names: Sequence[str]) -> str:
        return " ".join(str(self.share(name)) for name in names)

    def wait_for_shares(self, names: Sequence[str], partitions: int) -> None:
        """Return once these workers have all partitions, each of them some."""
        deadline = time.monotonic() + _PATIENCE
        while not self.are_shared(names, partitions):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.shares(names)} partitions after {_PATIENCE:.0f} s")
            time.sleep(0.1)

    def are_shared(self, names: Sequence[str], partitions: int) -> bool:
        found = [self.share(name) for name in names]
        return all(found) and sum(found) == partitions


__all__ = ["Group"]

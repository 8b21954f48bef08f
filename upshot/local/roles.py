"""The worker's roles as commands, for supervisors of child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from uuid import uuid4

from upshot.errors import PartFailed
from upshot.local.component import how_it_ended
from upshot.processors.roles import ROLES
from upshot.settings import Settings

#: Set for a supervised child: the end of its stdin, however the supervisor died, is its end too.
SUPERVISED = "UPSHOT_SUPERVISED"


def role_command(role: str, app: str | None = None) -> list[str]:
    """The command line of a role; `app` is the user's app, as `module:name`."""
    command = [sys.executable, "-P", "-m", "upshot.cli", "worker", "--role", role]
    return [*command, "--app", app] if app else command


def metrics_port(settings: Settings, role: str, number: int = 0) -> int | None:
    """The port of a role's metrics on one machine: a port for each role, then the further processes'."""
    port, roles = settings.metrics_port, list(ROLES)
    return port + number * len(roles) + roles.index(role) if port else port


def role_environment(settings: Settings, metrics: int | None = None, number: int = 0) -> dict[str, str]:
    """The environment leading a child to the same Kafka and ClickHouse, whatever the child's own folder has.

    The environment also names the child in its group: after the child's end, start the child again with the
    environment that was returned the first time. `number` distinguishes processes of a role.
    """
    page = {} if metrics is None else {"UPSHOT_METRICS_PORT": str(metrics)}
    return page | {
        "UPSHOT_KAFKA_URL": settings.kafka_url,
        "UPSHOT_KAFKA_SECURITY": settings.kafka_security,
        "UPSHOT_CLICKHOUSE_URL": settings.clickhouse_url.get_secret_value(),
        "UPSHOT_DATA_DIR": str(settings.data_dir),
        "UPSHOT_WORKER_ID": f"{settings.worker_id or uuid4().hex}{f'-{number}' if number else ''}",
    }


class RoleProcess:
    """A role as a component with its supervisor's output, in a process group of its own."""

    def __init__(self, settings: Settings, role: str, number: int = 0, app: str | None = None) -> None:
        self.name = f"{role}-{number}" if number else role
        self.log = None
        self.port = None
        self._command = role_command(role, app if ROLES[role].needs_app else None)
        environment = role_environment(settings, metrics_port(settings, role, number), number)
        self._environment = environment | {SUPERVISED: "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    @property
    def pid(self) -> int:
        if self._process is None:
            raise PartFailed(f"{self.name} does not run")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The code of the last end, negative for a signal; None where there was no end."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        self.kill()  # the pipe of a dead child is still open
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, env=os.environ | self._environment, process_group=0
        )

    def wait_ready(self, timeout: float, stop: threading.Event | None = None) -> None:
        """A role is ready once it runs: it waits for Kafka and ClickHouse itself."""

    def ready(self) -> bool:
        return self.alive()

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_end(self) -> str:
        return how_it_ended(self.exit_code)

    def end(self) -> None:
        """Ask the role to end, once; `stop` waits."""
        if self._process is not None and not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self, timeout: float) -> None:
        self.end()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()


__all__ = ["SUPERVISED", "RoleProcess", "metrics_port", "role_command", "role_environment"]

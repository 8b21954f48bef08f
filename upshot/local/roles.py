"""The worker's roles as commands, for supervisors of child processes."""

from __future__ import annotations

import sys
from uuid import uuid4

from upshot.processors.roles import ROLES
from upshot.settings import Settings


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


__all__ = ["metrics_port", "role_command", "role_environment"]

"""The worker's roles as commands, for whoever runs them as children."""

from __future__ import annotations

import sys
from uuid import uuid4

from upshot.processors.roles import ROLES
from upshot.settings import Settings


def role_command(role: str, app: str | None = None) -> list[str]:
    """The command line of one role; `app` is the user's, as `module:name`."""
    command = [sys.executable, "-P", "-m", "upshot.cli", "worker", "--role", role]
    return [*command, "--app", app] if app else command


def metrics_port(settings: Settings, role: str, number: int = 0) -> int | None:
    """Where a role's metrics are when all run on one machine: one port after the other, then the further processes'."""
    port, roles = settings.metrics_port, list(ROLES)
    return port + number * len(roles) + roles.index(role) if port else port


def role_environment(settings: Settings, metrics: int | None = None, number: int = 0) -> dict[str, str]:
    """What a child needs to meet the same Kafka and ClickHouse, whatever its own folder says.

    Also a name in its group: who starts a child again, after its end, must use what this returned the first time.
    `number` tells processes of one role apart.
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

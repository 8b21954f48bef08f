"""The worker's roles as commands, for whoever runs them as children."""

from __future__ import annotations

import sys

from upshot.settings import Settings

ROLES = ("correlate", "store")


def role_command(role: str) -> list[str]:
    """The command line of one role."""
    return [sys.executable, "-P", "-m", "upshot.cli", "worker", "--role", role]


def role_environment(settings: Settings) -> dict[str, str]:
    """What a child needs to meet the same Kafka and ClickHouse, whatever its own folder says."""
    return {
        "UPSHOT_KAFKA_URL": settings.kafka_url,
        "UPSHOT_KAFKA_SECURITY": settings.kafka_security,
        "UPSHOT_CLICKHOUSE_URL": settings.clickhouse_url.get_secret_value(),
        "UPSHOT_DATA_DIR": str(settings.data_dir),
    }


__all__ = ["ROLES", "role_command", "role_environment"]

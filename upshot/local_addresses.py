"""Addresses of the stack running in a data directory."""

from __future__ import annotations

import json
from pathlib import Path

from upshot.credentials import read_credentials

LOCAL_USER = "app"
LOCAL_VIEWER = "viewer"


def local_addresses(data_dir: Path) -> dict[str, str]:
    """The Kafka and ClickHouse addresses of the stack running in `data_dir`, or nothing.

    Nothing also where this user may not read the addresses. Raises ConfigurationError for damaged passwords.
    """
    try:
        ports = json.loads((data_dir / "ports.json").read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError, json.JSONDecodeError):
        return {}
    # A component left to another machine has no port.
    found = {"kafka_url": f"127.0.0.1:{ports['kafka']}"} if ports.get("kafka") else {}
    if ports.get("clickhouse") and (credentials := read_credentials(data_dir)):
        found["clickhouse_url"] = local_url(LOCAL_USER, credentials.app, ports["clickhouse"])
    return found


def local_url(user: str, password: str, port: int) -> str:
    """The address of a local stack's ClickHouse for one of its users."""
    return f"http://{user}:{password}@127.0.0.1:{port}/upshot"


__all__ = ["LOCAL_USER", "LOCAL_VIEWER", "local_addresses", "local_url"]

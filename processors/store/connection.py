"""The store's connection to ClickHouse."""

from __future__ import annotations

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client

from upshot.settings import Settings

#: An insert or a query that takes longer counts as failed, and is tried again.
TIMEOUT = 60


def connect(settings: Settings, *, database: bool = True) -> Client:
    """A client; without `database` one that needs none to exist. Raises clickhouse-connect's own errors."""
    address = settings.clickhouse
    return get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        secure=address.secure,
        database=address.database if database else "__default__",
        settings=dict(address.options),
        connect_timeout=5,
        send_receive_timeout=TIMEOUT,
        autogenerate_session_id=False,
        client_name="upshot",
    )


def first_line(error: Exception) -> str:
    """What ClickHouse said, without the driver's wrapping, versions and traces."""
    text = str(error)
    _, found, own = text.partition("DB::Exception: ")
    line = (own if found else text).strip().split("\n")[0]
    return line.split(". (for url")[0].split(" (version ")[0][:500]


__all__ = ["TIMEOUT", "connect", "first_line"]

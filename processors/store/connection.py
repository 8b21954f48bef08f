"""The store's connection to ClickHouse."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.plain_text import plain
from upshot.settings import Settings

# clickhouse_connect writes a stack trace for each failed try; callers report the failure.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

#: An insert or a query taking longer counts as failed, and is tried again.
TIMEOUT = 60


def connect(
    settings: Settings,
    *,
    database: bool = True,
    timeout: float = TIMEOUT,
    session: str | None = None,
    options: Mapping[str, str | int] = MappingProxyType({}),
) -> Client:
    """A client; without `database` a client needing no database. Raises clickhouse-connect's own errors.

    A statement without an answer within `timeout` seconds has failed. With the name of a `session`, temporary
    tables last from one statement to the next. `options` are sent with each statement, besides the address's.
    """
    address = settings.clickhouse
    return get_client(
        host=address.host,
        port=address.port,
        username=address.user,
        password=address.password,
        secure=address.secure,
        database=address.database if database else "__default__",
        settings={**address.options, **options},
        connect_timeout=5,
        send_receive_timeout=timeout,
        session_id=session,
        autogenerate_session_id=False,
        client_name="upshot",
    )


@contextmanager
def explained(settings: Settings, *, away: str, refused: str) -> Iterator[None]:
    """Turn clickhouse-connect's errors into ours: what they mean for the work, and what to do.

    Raises ClickHouseUnavailable, whose text ends with `away`, or QueryFailed with `refused`, whose `{}` is
    ClickHouse's message.
    """
    address = settings.clickhouse
    try:
        yield
    except OperationalError as error:
        raise ClickHouseUnavailable(
            f"ClickHouse does not answer at {address.host}:{address.port} ({first_line(error)}): {away}"
        ) from error
    except ClickHouseError as error:
        raise QueryFailed(refused.format(first_line(error))) from error


def first_line(error: Exception) -> str:
    """ClickHouse's message, or why ClickHouse couldn't be reached, without wrapping, versions and traces."""
    _, found, own = str(error).partition("DB::Exception: ")
    line = (own if found else _root(error)).strip().split("\n")[0]
    return plain(line.split(" (for url")[0].split(" (version ")[0][:500])


def _root(error: BaseException) -> str:
    """The innermost cause: `Connection refused` rather than the pool's error."""
    text = str(error)
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
        text = getattr(error, "strerror", None) or str(error) or text
    return text


__all__ = ["TIMEOUT", "connect", "explained", "first_line"]

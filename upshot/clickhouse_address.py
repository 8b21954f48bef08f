"""Where ClickHouse is: an address over HTTP, taken apart; and the addresses of a cluster's shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from upshot.errors import ConfigurationError

#: The database of a shard's own tables is named after the cluster's.
SHARD = "_shard"


class ClickHouseAddress(NamedTuple):
    """Where ClickHouse is; `options` are settings of the connection, from the URL's query."""

    host: str
    port: int
    secure: bool
    user: str
    password: str
    database: str
    options: Mapping[str, str]


def parse_address(text: str) -> ClickHouseAddress:
    """The address in a URL. Raises ConfigurationError for any other text."""
    url = urlsplit(text)
    try:
        port = url.port
    except ValueError:
        port = -1
    if url.scheme not in ("http", "https") or not url.hostname or port == -1:
        raise ConfigurationError(
            "UPSHOT_CLICKHOUSE_URL is no address over HTTP: write http[s]://user:password@host:port/database"
        )
    secure = url.scheme == "https"
    return ClickHouseAddress(
        host=url.hostname,
        port=port or (8443 if secure else 8123),
        secure=secure,
        user=unquote(url.username or "default"),
        password=unquote(url.password or ""),
        database=unquote(url.path.strip("/")) or "upshot",
        options=dict(parse_qsl(url.query)),
    )


def shard_urls(url: str, shards: str) -> Sequence[str]:
    """A URL for each shard's own database, from the addresses in `shards`, else from `url` alone.

    Raises ConfigurationError for a text that is no address.
    """
    whole = urlsplit(url)
    database = parse_address(url).database
    found = []
    for text in filter(None, map(str.strip, (shards or url).split(","))):
        shard = urlsplit(text)
        own = parse_address(text)
        user = shard.netloc if "@" in shard.netloc else whole.netloc.rpartition("@")[0] + f"@{shard.netloc}"
        named = own.database if shard.path.strip("/") else database
        found.append(shard._replace(netloc=user.removeprefix("@"), path=f"/{named}{SHARD}").geturl())
    return found


__all__ = ["SHARD", "ClickHouseAddress", "parse_address", "shard_urls"]

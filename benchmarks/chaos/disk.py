"""A full disk, as one process sees it."""

from __future__ import annotations

import resource

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from upshot.settings import Settings

#: Bytes of one file while a process's disk counts as full: what grows fails, what is there stays.
_FULL = 4_096
_TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
#: More free bytes than any disk has.
_UNHEARD_OF = 2**60


def limit_files(pid: int, *, full: bool) -> None:
    """No file of the process can grow any more, or can again.

    Raises ProcessLookupError where there is none.
    """
    limit = _FULL if full else resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def refuse_rows(settings: Settings, *, full: bool) -> bool:
    """ClickHouse finds too little free space for any insert, or enough again; whether it was there to be
    told.

    A limit of its files' size would not do: the embedded engine acknowledges inserts that it could not write.
    """
    wanted = _UNHEARD_OF if full else 0
    try:
        client = clickhouse_connect.get_client(dsn=settings.clickhouse_url.get_secret_value())
        for (table,) in client.query(_TABLES).result_rows:
            client.command(
                f"ALTER TABLE {table} MODIFY SETTING min_free_disk_bytes_to_perform_insert = {wanted}"
            )
        client.close()
    except (ClickHouseError, OSError):
        return False
    return True


__all__ = ["limit_files", "refuse_rows"]

"""What a query may take: every question goes to ClickHouse with its limits, and ends with whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upshot.errors import ConfigurationError

#: Seconds that a query may run, unless its asker says so: a local stack's readers have no more either.
SECONDS = 60
#: Bytes of ClickHouse's memory that a query may take.
MEMORY_BYTES = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class QueryLimits:
    """The limits of a query; a query beyond them is stopped.

    Raises ConfigurationError where a limit is not positive.
    Settings in the address (`UPSHOT_CLICKHOUSE_URL`) and in the SQL itself come before these.
    """

    seconds: float = SECONDS
    memory_bytes: int = MEMORY_BYTES

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.memory_bytes <= 0:
            raise ConfigurationError("the limits of a query are more than 0; no query was run")

    def settings(self) -> Mapping[str, str]:
        """The limits as settings of ClickHouse; the query is cancelled where its reader hangs up."""
        return {
            "max_execution_time": f"{self.seconds:g}",
            "timeout_overflow_mode": "throw",
            "max_memory_usage": str(self.memory_bytes),
            "cancel_http_readonly_queries_on_client_close": "1",
        }


#: Of a query whose asker says nothing.
USUAL = QueryLimits()
#: Of work over recorded data, such as replaying and rescoring.
WORK = QueryLimits(seconds=300)

__all__ = ["MEMORY_BYTES", "SECONDS", "USUAL", "WORK", "QueryLimits"]

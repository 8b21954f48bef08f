"""What a named query is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class NamedQuery:
    """A query with a name: `about` describes the answer in a line.

    `parameters` are its ClickHouse query parameters (`{limit:UInt32}`) with their defaults.
    """

    name: str
    about: str
    sql: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


#: A beginning before all runs.
ALWAYS = "1970-01-01 00:00:00"
#: A beginning so many days before the newest row, where the query says how many.
RECENT = "recent"


def beginning(newest: str, days: int) -> str:
    """SQL of the instant that the parameter `since` names; `newest` is a SELECT of the newest one."""
    return f"""\
(
    SELECT if({{since:String}} = '{RECENT}', newest - INTERVAL {days} DAY, parseDateTime64BestEffort(
        if({{since:String}} = '{RECENT}', '1970-01-01', {{since:String}}), 6, 'UTC'))
    FROM ({newest})
)"""


__all__ = ["ALWAYS", "RECENT", "NamedQuery", "beginning"]

"""What a page answers: one set of data for eyes and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from upshot.insights.pages.query import PageQuery


@dataclass(frozen=True)
class View:
    """A page: `data` is also its JSON; `extras` are for the template alone."""

    template: str
    title: str
    data: Mapping[str, Any]
    extras: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    #: All rows behind the page, for exports and for the SQL page.
    export: PageQuery | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Seconds until the page is loaded again by itself; 0 for never.
    again: int = 0


def json_text(data: object) -> str:
    """Data as JSON: instants as ISO 8601, numbers that are none as null."""
    return json.dumps(_plain(data), ensure_ascii=False, indent=1) + "\n"


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value


__all__ = ["View", "json_text"]

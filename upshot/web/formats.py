"""Numbers, lengths of time and values as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from upshot.ops.doctor.words import span

#: What stands for a value that nobody knows.
NOTHING = "\u2013"


def number(value: object) -> str:
    """With separators of thousands; up to four significant digits behind the point."""
    if value is None or value == "":
        return NOTHING
    amount = float(str(value))
    if not isfinite(amount):
        return NOTHING
    return f"{amount:,.0f}" if amount == int(amount) and abs(amount) < 1e15 else f"{amount:,.4g}"


def short_number(value: object) -> str:
    """`1.2k`, `3.4M`."""
    if value is None:
        return NOTHING
    amount = float(str(value))
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(amount) >= size:
            scaled = amount / (1e3 if unit == "k" else size)
            return f"{scaled:.3g}{unit}" if scaled < 1000 else f"{scaled:.0f}{unit}"
    return number(value)


def percent(share: object, digits: int = 1) -> str:
    """A share of 1 in percent."""
    if share is None or not isfinite(float(str(share))):
        return NOTHING
    return f"{100 * float(str(share)):.{digits}f}%"


def money(value: object) -> str:
    """US dollars: cents for amounts, more digits for small ones."""
    if value is None or not isfinite(float(str(value))):
        return NOTHING
    amount = float(str(value))
    if amount == 0 or abs(amount) >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if abs(amount) >= 0.0001 else f"${amount:.2g}"


def duration(seconds: object) -> str:
    """A length of time; below a second in milliseconds."""
    if seconds is None:
        return NOTHING
    length = float(str(seconds))
    if not isfinite(length):
        return NOTHING
    if abs(length) < 1:
        return f"{1000 * length:.0f} ms"
    if abs(length) < 10:
        return f"{length:.1f} s"
    return ("-" if length < 0 else "") + span(abs(length))


def score_value(row: Mapping[str, Any]) -> str:
    """A score's value."""
    if row["value"] is None:
        return "none"
    if row["kind"] == "boolean":
        return "true" if float(row["value"]) else "false"
    return number(row["value"])


def shown_cell(value: object) -> str:
    """A cell's text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def instant_of(text: object) -> datetime | None:
    """ClickHouse's text as an instant in UTC; an instant stays."""
    if text is None or text == "":
        return None
    if isinstance(text, datetime):
        return text.astimezone(UTC)
    return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)


def seconds_between(start: object, end: object) -> float | None:
    """The seconds from one instant to another; None where one isn't known."""
    first, last = instant_of(start), instant_of(end)
    return (last - first).total_seconds() if first and last else None


class Clock:
    """Instants in one time zone, and how far they are from now."""

    def __init__(self, now: datetime, zone: str = "UTC") -> None:
        self.now = now
        self.zone, self._zone = "UTC", ZoneInfo("UTC") if zone == "UTC" else zone_of(zone)
        if self._zone is None:
            self._zone = UTC  # type: ignore[assignment]
        else:
            self.zone = zone

    @property
    def label(self) -> str:
        """The zone with its present offset."""
        if self.zone == "UTC":
            return "UTC"
        offset = self.now.astimezone(self._zone).strftime("%z")
        return f"{self.zone} (UTC{offset[:3]}:{offset[3:]})"

    def at(self, instant: object, pattern: str = "%Y-%m-%d %H:%M:%S") -> str:
        """The instant in this zone."""
        moment = instant_of(instant)
        return moment.astimezone(self._zone).strftime(pattern) if moment else NOTHING

    def ago(self, instant: object) -> str:
        """`3 h ago`, `in 2 d`."""
        moment = instant_of(instant)
        if moment is None:
            return NOTHING
        seconds = (self.now - moment).total_seconds()
        return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def zone_of(name: str) -> ZoneInfo | None:
    """The time zone of that name; None where there is none."""
    try:
        return ZoneInfo(name) if name.isprintable() and len(name) < 64 else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


__all__ = [
    "NOTHING",
    "Clock",
    "duration",
    "instant_of",
    "money",
    "number",
    "percent",
    "score_value",
    "seconds_between",
    "short_number",
    "shown_cell",
    "zone_of",
]

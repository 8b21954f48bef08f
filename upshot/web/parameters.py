"""Reading a query string: whatever comes, a value or a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from multidict import MultiMapping

from upshot.ingest.answers import Problem

#: Characters of a wrong value that the answer repeats.
_SHOWN = 80
_LONGEST = 100_000
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Parameters:
    """The parameters of one request. Every method raises Problem for a value that can't be meant."""

    def __init__(self, query: MultiMapping[str], now: datetime) -> None:
        self._query = query
        self._now = now

    def text(self, name: str, default: str = "") -> str:
        """A text; the last of several."""
        value = self._query.getall(name, [default])[-1]
        if "\x00" in value:
            raise Problem(400, f"{name} has a null character: write the value without")
        if len(value) > _LONGEST:
            raise Problem(413, f"{name} is longer than {_LONGEST:,} characters: narrow the value")
        return value

    def texts(self, name: str) -> list[str]:
        """All values of a repeated parameter, empty ones left out."""
        return [value for value in self._query.getall(name, []) if value]

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """One of several words."""
        value = self.text(name) or default
        if value not in choices:
            raise Problem(400, f"{name} is one of {', '.join(choices)}, not {value[:_SHOWN]!r}")
        return value

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.text(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 12) or not least <= int(value) <= most:
            raise Problem(400, f"{name} is a number from {least:,} to {most:,}, not {value[:_SHOWN]!r}")
        return int(value)

    def instant(self, name: str) -> datetime | None:
        """An instant or a day in UTC where no offset is given, or a length back from now such as `7d`."""
        value = self.text(name).strip()
        if not value:
            return None
        unit = _UNITS.get(value[-1].lower())
        try:
            if unit and value[:-1].isascii() and value[:-1].isdigit():
                return self._now - timedelta(**{unit: int(value[:-1][:6])})
            at = datetime.fromisoformat(value.replace(" ", "+") if value.count(" ") > 1 else value)
            at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            at = datetime.min.replace(tzinfo=UTC)
        if not 1970 <= at.year < 2200:
            raise Problem(
                400,
                f"{name} is an instant such as 2026-06-01T12:00Z, a day, or a length back from now such as "
                f"7d, not {value[:_SHOWN]!r}",
            )
        return at

    def after(self) -> tuple[datetime, str] | None:
        """The place in a list: the instant and the id of the last row of the screen before."""
        value = self.text("after")
        if not value:
            return None
        at, _, ident = value.partition(" ")
        try:
            return datetime.fromisoformat(at).astimezone(UTC), ident
        except (ValueError, OverflowError):
            raise Problem(
                400, f"the place {value[:_SHOWN]!r} in the list can't be read: begin at its start"
            ) from None

    def beginning_with(self, prefix: str) -> dict[str, str]:
        """The parameters whose names begin so, without the prefix."""
        return {
            name.removeprefix(prefix): value[:_LONGEST]
            for name, value in self._query.items()
            if name.startswith(prefix) and len(name) > len(prefix)
        }

    def rest(self, *without: str) -> dict[str, list[str]]:
        """All parameters except some, for a link that keeps the state of the page."""
        found: dict[str, list[str]] = {}
        for name, value in self._query.items():
            if name not in without and value:
                found.setdefault(name, []).append(value)
        return found

    def pairs(self) -> Iterator[tuple[str, str]]:
        """All parameters."""
        yield from self._query.items()


def place(at: object, ident: object) -> str:
    """The text of a place in a list, for `after`."""
    instant = datetime.fromisoformat(str(at)).replace(tzinfo=UTC) if not isinstance(at, datetime) else at
    return f"{instant.isoformat()} {ident}"


__all__ = ["Parameters", "place"]

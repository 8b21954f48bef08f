"""The entries of the navigation, as data: a new page adds a line here."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A place of the navigation. `key` goes there after `g`."""

    path: str
    label: str
    key: str = ""


NAVIGATION = (
    Entry("/", "Home", "h"),
    Entry("/runs", "Runs", "r"),
    Entry("/experiments", "Experiments", "e"),
    Entry("/scores", "Scores", "c"),
    Entry("/waits", "Waits", "w"),
    Entry("/alerts", "Alerts", "a"),
    Entry("/insights", "Insights", "i"),
    Entry("/dead-letters", "Dead letters", "d"),
    Entry("/system", "System", "s"),
)

__all__ = ["NAVIGATION", "Entry"]

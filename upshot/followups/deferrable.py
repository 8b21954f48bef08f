"""Work to be deferred, as code under way knows it: a scorer's identity and the form of its data."""

from __future__ import annotations

from typing import Protocol, TypeVar

D = TypeVar("D", contravariant=True)


class Deferrable(Protocol[D]):
    """A scorer; see `upshot.followups.scorers`."""

    name: str
    version: str

    def write(self, data: D, /) -> bytes:
        """The data of a deferral, as JSON. Raises Misuse for data of another type."""


__all__ = ["Deferrable"]

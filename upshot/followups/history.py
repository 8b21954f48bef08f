"""The history of a follow-up: the places passed by its code, compared with the last execution."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from upshot.followups.branches import MAIN
from upshot.processors.followups.execution import HistoryEntry


class NonDeterminismError(BaseException):
    """Leaves the code, since this isn't the code with which the follow-up began."""


class ReplayHistory:
    """The places of one replay, compared with those `before` up to the first answer of another revision."""

    def __init__(self, before: Sequence[HistoryEntry]) -> None:
        self.path: list[HistoryEntry] = []
        #: The error text where this isn't the code with which the follow-up began.
        self.unfit: str | None = None
        self._changed = False
        self._before: defaultdict[str, list[HistoryEntry]] = defaultdict(list)
        for entry in before:
            self._before[entry.key.partition(" ")[0]].append(entry)
        self._places: Counter[str] = Counter()

    def note(self, branch: str, entry: HistoryEntry) -> None:
        """Add the next place of a branch. Raises NonDeterminismError where the last execution had another."""
        was = self._next(branch)
        self._places[branch] += 1
        if was is not None:
            if (was.key, was.shape) != (entry.key, entry.shape):
                self.unfit = _mismatch(self._places[branch], was, f"asks for {_described(entry)}")
                raise NonDeterminismError(self.unfit)
            self._changed = was.revision != entry.revision
        self.path.append(entry)

    def has_next(self, branch: str, key: str, shape: str) -> bool:
        """Whether the last execution had this very place next in a branch."""
        was = self._next(branch)
        return was is not None and (was.key, was.shape) == (key, shape)

    def expect_no_more(self, branch: str, does: str) -> None:
        """The branch ends here (`does`): unfit where the last execution had another place in the branch."""
        was = self._next(branch)
        if was is not None and self.unfit is None:
            self.unfit = _mismatch(self._places[branch] + 1, was, does)

    def _next(self, branch: str) -> HistoryEntry | None:
        """The next place of the last execution in a branch; None after a changed answer."""
        place, before = self._places[branch], self._before[branch]
        return before[place] if not self._changed and place < len(before) else None


def _described(entry: HistoryEntry) -> str:
    place = entry.key.partition(" ")[2]
    return f"`{place}` ({entry.shape})" if entry.shape else f"`{place}`"


def _mismatch(number: int, was: HistoryEntry, does: str) -> str:
    branch = was.key.partition(" ")[0]
    of = "" if branch == MAIN else f" in {branch.partition('/')[2]}"
    return (
        f"this isn't the code that began the follow-up: as number {number}{of} it asked for "
        f"{_described(was)}, now it {does}. Give the old code back, and register the changed one beside it: "
        '@app.scorer(version="2"). If the code is the same, it depends on something that '
        "differs each time, such as the clock or a random number: take ctx.now(), or put that into ctx.step"
    )


__all__ = ["NonDeterminismError", "ReplayHistory"]

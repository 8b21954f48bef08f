"""The expected scores, counted from the file itself, without Kafka, Faust or ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from upshot.demo.pulls import PullRequest

Group = Literal["agent", "language"]


class Count(NamedTuple):
    """Of one group of pull requests: closed ones, the merged among them, open ones."""

    scored: int
    merged: int
    pending: int


@dataclass(frozen=True)
class ExpectedScores:
    """The counts required of the tables."""

    agents: dict[str, Count]
    languages: dict[str, Count]


def expected_of(pulls: Iterable[PullRequest]) -> ExpectedScores:
    """Count the file."""
    stored = list(pulls)
    return ExpectedScores(_counts(stored, "agent"), _counts(stored, "language"))


def _counts(pulls: Iterable[PullRequest], group: Group) -> dict[str, Count]:
    counts: dict[str, Count] = {}
    for pull in pulls:
        name = pull.agent if group == "agent" else pull.language
        before = counts.get(name, Count(0, 0, 0))
        counts[name] = Count(
            before.scored + pull.is_closed,
            before.merged + (pull.merged is True),
            before.pending + (not pull.is_closed),
        )
    return counts


__all__ = ["Count", "ExpectedScores", "Group", "expected_of"]

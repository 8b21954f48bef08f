"""Pull requests from a CSV file, each row checked."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from upshot.errors import ConfigurationError
from upshot.schemas.fields import EARLIEST, LATEST

SHIPPED = Path(__file__).with_name("data") / "agent_prs.csv"

_TEXTS = ("pr_id", "agent", "repo_language", "task_type", "state", "merged", "merged_at")
_COUNTS = (
    "files_changed",
    "additions",
    "deletions",
    "review_comments",
    "human_comments",
    "bot_comments",
    "reviews_approved",
    "reviews_changes_requested",
    "reviews_total",
)
#: Columns required of a file, in any order; others are ignored.
COLUMNS = (*_TEXTS, *_COUNTS)
#: The contract's limit for an agent's name, and for texts made from the id.
_LONGEST = 200


@dataclass(frozen=True)
class PullRequest:
    """A row. `merged` says nothing while the pull request is open; a count missing in the file is None."""

    pr_id: str
    agent: str
    language: str
    task_type: str
    is_closed: bool
    merged: bool
    merged_at: datetime | None
    counts: dict[str, int | None]


def read_pulls(path: Path) -> list[PullRequest]:
    """All pull requests of the file.

    Raises ConfigurationError naming the line of an unusable row: nothing is played then.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            pulls = list(_pulls(path, file))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}; nothing was played") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text: {error}; nothing was played") from None
    except csv.Error as error:
        raise ConfigurationError(f"{path} is no CSV file: {error}; nothing was played") from None
    if not pulls:
        raise ConfigurationError(f"{path} holds no pull request: nothing was played")
    return pulls


def _pulls(path: Path, lines: Iterable[str]) -> Iterator[PullRequest]:
    rows = csv.reader(lines, strict=True)
    header = [name.strip() for name in next(rows, [])]
    if not header:
        raise ConfigurationError(f"{path} is empty: nothing was played")
    if missing := [name for name in COLUMNS if name not in header]:
        raise ConfigurationError(
            f"{path} lacks the {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}: nothing "
            "was played; its first line must name the columns"
        )
    seen: dict[str, int] = {}
    for row in rows:
        if not row:
            continue
        try:
            pull = _checked(header, row, seen)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {rows.line_num}: {error}; nothing was played") from None
        seen[pull.pr_id] = rows.line_num
        yield pull


def _checked(header: list[str], row: list[str], seen: Mapping[str, int]) -> PullRequest:
    """Raises ValueError naming the fault of the row."""
    if len(row) != len(header):
        raise ValueError(f"{len(row)} values stand under {len(header)} columns")
    pull = _pull(dict(zip(header, (value.strip() for value in row), strict=True)))
    if pull.pr_id in seen:
        raise ValueError(f"pr_id {pull.pr_id} already stands in line {seen[pull.pr_id]}")
    return pull


def _pull(row: Mapping[str, str]) -> PullRequest:
    for name in ("pr_id", "agent", "state"):
        if not row[name]:
            raise ValueError(f"{name} is empty")
    for name in _TEXTS:
        if len(row[name]) > _LONGEST:
            raise ValueError(f"{name} is longer than {_LONGEST} characters")
    if row["state"].lower() not in ("open", "closed"):
        raise ValueError(f"state is {row['state']!r}: it must be open or closed")
    is_closed = row["state"].lower() == "closed"
    merged = _boolean(row["merged"])
    if merged and not is_closed:
        raise ValueError("it is open and merged at once")
    merged_at = _instant(row["merged_at"])
    if merged_at is not None and not merged:
        raise ValueError("it has a merged_at and was not merged")
    return PullRequest(
        row["pr_id"],
        row["agent"],
        row["repo_language"],
        row["task_type"],
        is_closed,
        merged,
        merged_at,
        {name: _count(name, row[name]) for name in _COUNTS},
    )


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"merged is {value!r}: it must be true or false")
    return value.lower() == "true"


def _instant(value: str) -> datetime | None:
    if not value:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"merged_at is {value!r}, no time such as 2025-01-31T12:00:00Z") from None
    if not EARLIEST.year <= instant.year < LATEST.year:
        raise ValueError(f"merged_at is {value!r}, outside the years {EARLIEST.year} to {LATEST.year - 1}")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _count(name: str, value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{name} is {value!r}: it must be a whole number from 0, or empty")
    return int(value)


__all__ = ["COLUMNS", "SHIPPED", "PullRequest", "read_pulls"]

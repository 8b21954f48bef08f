"""`python -m tools.subjects` checks the subjects of commits: a scope word first, at most 72 characters.

Exits with 1 and prints each broken subject; a folder without a history of its own has nothing to check.
Merges are left out, and so are commits from before the rule: by their date, since a shallow clone doesn't
have the rule's first commit.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: Commits made earlier have subjects of every kind.
SINCE = datetime(2026, 11, 28, 14, tzinfo=UTC)
#: Characters: longer subjects are cut off by the usual views of a history.
LONGEST = 72
#: `join: keep the order`, `web, cli: say the same`.
_SCOPED = re.compile(r"[a-z0-9][a-z0-9-]*(, [a-z0-9][a-z0-9-]*)*: \S")


class Commit(NamedTuple):
    """A commit of the history; `made_at` is the committer's date."""

    hash: str
    made_at: datetime
    subject: str


def history(folder: Path) -> Iterator[Commit]:
    """The commits without merges, as far as this clone has them; none where `folder` is no checkout's root.

    Raises CalledProcessError where git can't read the history.
    """
    if not (folder / ".git").exists():
        return
    log = subprocess.run(
        ["git", "-C", str(folder), "log", "--no-merges", "--format=%h%x00%cI%x00%s"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for line in log.stdout.splitlines():
        commit, made_at, subject = line.split("\0")
        yield Commit(commit, datetime.fromisoformat(made_at), subject)


def fault(subject: str) -> str | None:
    """The broken rule in words; None for a subject that keeps both rules."""
    if not _SCOPED.match(subject):
        return "begin with a scope word, such as `join: …`"
    if len(subject) > LONGEST:
        return f"{len(subject)} characters, at most {LONGEST} are allowed"
    return None


def main(folder: Path = ROOT) -> int:
    """The command."""
    commits = [commit for commit in history(folder) if commit.made_at >= SINCE]
    broken = [(commit, why) for commit in commits if (why := fault(commit.subject))]
    for commit, why in broken:
        print(f"{commit.hash} {commit.subject}\n    {why}: mend the subject with git rebase")
    print(f"{len(commits)} subjects of commits checked, {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

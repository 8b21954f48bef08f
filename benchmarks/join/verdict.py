"""Were the right scores emitted? Compares what a system wrote with the known answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Verdict(NamedTuple):
    """Runs by what is wrong with them; `repeated` counts records that say again what was said: harmless.

    `missing` have no score, `wrong` end with another value, `doubled` have two scores that a reader can't
    know as one, `invented` should have none.
    """

    right: int
    missing: int
    wrong: int
    doubled: int
    invented: int
    repeated: int

    @property
    def is_right(self) -> bool:
        """Every run has its score, once."""
        return not (self.missing or self.wrong or self.doubled or self.invented)

    def __str__(self) -> str:
        if self.is_right:
            return f"{self.right:,} right"
        wrong = {name: n for name, n in self._asdict().items() if n and name not in ("right", "repeated")}
        return "WRONG: " + ", ".join(f"{n:,} {name}" for name, n in wrong.items())


def compare(truth: Mapping[str, bool], values: Iterable[bytes]) -> Verdict:
    """`values` are the scores that were emitted, in the order of each partition.

    A record is known as one that was before by its `score_id` and `revision`; a run's value is that of the
    highest revision.
    """
    said: dict[str, dict[tuple[str, int], bool]] = {}
    doubled: set[str] = set()
    repeated = 0
    for value in values:
        score = json.loads(value)
        run, identity = score["run_id"], (score["score_id"], score.get("revision", 1))
        revisions = said.setdefault(run, {})
        if any(score_id != identity[0] for score_id, _ in revisions):
            doubled.add(run)
        if identity in revisions:
            repeated += 1
            if revisions[identity] is not score["value"]:
                doubled.add(run)
        revisions[identity] = score["value"]
    known = {run: revisions for run, revisions in said.items() if run in truth}
    wrong = sum(
        revisions[max(revisions, key=_revision)] is not truth[run] for run, revisions in known.items()
    )
    return Verdict(
        right=len(known) - wrong,
        missing=len(truth) - len(known),
        wrong=wrong,
        doubled=len(doubled),
        invented=len(said) - len(known),
        repeated=repeated,
    )


def _revision(identity: tuple[str, int]) -> int:
    return identity[1]

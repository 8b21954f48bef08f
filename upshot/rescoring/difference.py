"""The scores of other code beside the current scores: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from upshot.followups.giving import score_id_of
from upshot.processors.followups.execution import EmitScore, FollowupSpec
from upshot.rescoring.past import Current
from upshot.rescoring.rescore import Ending, Rescored

#: `corrected`: a score corrected by hand; the correction holds for the new code, too.
What = Literal["same", "changed", "new", "gone", "corrected"]


@dataclass(frozen=True)
class Moved:
    """A score before and after. `give` is None where the code doesn't give the score any more."""

    what: What
    origin: FollowupSpec
    score_id: str
    name: str
    step_id: str | None
    key: str | None
    before: bool | float | None
    after: bool | float | None
    give: EmitScore | None
    #: The revision that is current now; 0 where there is none.
    revision: int


@dataclass(frozen=True)
class Summary:
    """The scores of a name: counts by kind, and means. Corrected scores count with the corrected value."""

    name: str
    counts: Mapping[What, int]
    mean_before: float | None
    mean_after: float | None


@dataclass(frozen=True)
class Difference:
    """All scores of the follow-ups whose code ended, and counts of endings. `errors` are by their text."""

    moved: Sequence[Moved]
    endings: Mapping[Ending, int]
    errors: Mapping[str, int]
    steps: Sequence[str]
    deferred: int

    @property
    def summaries(self) -> list[Summary]:
        """The summaries, by name."""
        names = sorted({one.name for one in self.moved})
        return [_summary(name, [one for one in self.moved if one.name == name]) for name in names]

    @property
    def differing(self) -> list[Moved]:
        """The scores to be written."""
        return [one for one in self.moved if one.what in ("changed", "new", "gone")]

    @property
    def clashing(self) -> list[str]:
        """The names whose kind (number, boolean) the code changes: the store takes no such score."""
        kinds = ((one.name, one.before, one.after) for one in self.moved if one.what == "changed")
        return sorted({name for name, was, now in kinds if isinstance(was, bool) != isinstance(now, bool)})


def difference(rescored: Sequence[Rescored], current: Iterable[Current]) -> Difference:
    """Compare the scores given by the code with the scores of the runs."""
    by_run: dict[str, list[Current]] = {}
    for score in current:
        by_run.setdefault(score.run_id, []).append(score)
    moved: list[Moved] = []
    for one in rescored:
        if one.ending == "done":
            moved += _of_one(one, by_run.get(one.origin.run_id, []))
    return Difference(
        moved,
        Counter(one.ending for one in rescored),
        Counter(one.error for one in rescored if one.error),
        sorted({step for one in rescored for step in one.steps}),
        sum(one.deferred for one in rescored),
    )


def _of_one(one: Rescored, of_run: Sequence[Current]) -> list[Moved]:
    origin = one.origin
    there = {score.score_id: score for score in of_run}
    moved = [_moved(origin, give, there.get(score_id)) for score_id, give in one.given.items()]
    for score in of_run:
        ours = score_id_of(origin.followup_id, score.step_id, score.name, score.key)
        if score.score_id == ours and score.value is not None and ours not in one.given:
            what: What = "corrected" if score.reason == "given" else "gone"
            after = score.value if what == "corrected" else None
            moved.append(_line(what, origin, score, score.value, after, None))
    return moved


def _moved(origin: FollowupSpec, give: EmitScore, score: Current | None) -> Moved:
    after = give.value
    if score is None or (score.value is None and score.reason != "given"):
        return _line("new", origin, give, None, after, give, score.revision if score else 0)
    if score.reason == "given":
        return _line("corrected", origin, score, score.value, score.value, give)
    same = (score.value, type(score.value)) == (after, type(after))
    return _line("same" if same else "changed", origin, score, score.value, after, give)


def _line(
    what: What,
    origin: FollowupSpec,
    about: Current | EmitScore,
    before: bool | float | None,
    after: bool | float | None,
    give: EmitScore | None,
    revision: int = 0,
) -> Moved:
    revision = about.revision if isinstance(about, Current) else revision
    named = about.score_id, about.name, about.step_id, about.key
    return Moved(what, origin, *named, before, after, give, revision)


def _summary(name: str, moved: Sequence[Moved]) -> Summary:
    counts: Counter[What] = Counter(one.what for one in moved)
    before = [float(one.before) for one in moved if one.before is not None]
    after = [float(one.after) for one in moved if one.after is not None]
    return Summary(name, counts, _mean(before), _mean(after))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


__all__ = ["Difference", "Moved", "Summary", "What", "difference"]

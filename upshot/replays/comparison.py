"""Two runs side by side, step by step: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from upshot.replays.recorded import Recorded
from upshot.schemas.scores import Score

N = TypeVar("N", int, float)

#: `recorded`: not run, the recorded result was given. `same`, `changed`: run, with the same status and output
#: as before, or not. `unknown`: run, but an output isn't kept, so the outputs can't be compared. `new`: the
#: step wasn't there before. `gone`: the step isn't there any more.
What = Literal["recorded", "same", "changed", "unknown", "new", "gone"]


@dataclass(frozen=True)
class ReplayTotals:
    """A step's result and usage; for a step not compared in detail, with everything inside the step."""

    status: str
    output: str | None
    error: str | None
    seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None

    @property
    def tokens(self) -> int | None:
        """Tokens read and written; None where neither is known."""
        return _sum((self.input_tokens, self.output_tokens))

    @property
    def result(self) -> str:
        """What came of it, for people: the error with its status, the output, or the status alone."""
        return f"{self.status}: {self.error}" if self.error else self.output or self.status


@dataclass(frozen=True)
class ComparedStep:
    """A step of both runs, or of a single run. `depth` is 0 right below the run."""

    name: str
    depth: int
    what: What
    before: ReplayTotals | None
    after: ReplayTotals | None


@dataclass(frozen=True)
class ComparedScore:
    """A score given by the code in either run, or in both. `step` is empty for a score of the run."""

    name: str
    step: str
    before: bool | float | None
    after: bool | float | None


def compared(before: Recorded, after: Recorded, depth: int = 0) -> Iterator[ComparedStep]:
    """The steps inside two steps (or runs), in the order of the second; gone steps stay where they were."""
    partners = _partners(before, after)
    listed: set[Recorded] = set()
    for child in after.children:
        partner = partners.get(child)
        if partner is None:
            yield ComparedStep(child.label, depth, "new", None, figures(child))
            continue
        yield from _gone(before, partners, listed, depth, until=partner)
        listed.add(partner)
        if _marked(child, "recorded"):
            yield ComparedStep(partner.label, depth, "recorded", figures(partner), figures(child))
            continue
        was, now = figures(partner, alone=True), figures(child, alone=True)
        yield ComparedStep(partner.label, depth, _what(was, now), was, now)
        yield from compared(partner, child, depth + 1)
    yield from _gone(before, partners, listed, depth)


def scored(
    before: Recorded, given: Sequence[Score], after: Recorded, again: Sequence[Score]
) -> list[ComparedScore]:
    """The scores given by the code, of both runs side by side."""
    was = {(score.name, _place(before, score)): score.value for score in given}
    now = {(score.name, _place(after, score)): score.value for score in again}
    return [ComparedScore(*key, was.get(key), now.get(key)) for key in sorted({*was, *now})]


def figures(node: Recorded, *, alone: bool = False) -> ReplayTotals:
    """The totals of a step or run; with everything inside, or `alone`."""
    steps = [
        step for inside in ([node] if alone else node.all()) for step in inside.attempts.values() if step
    ]
    last, run = node.last, node.run
    ended = [step.ended_at for step in node.attempts.values() if step.ended_at]
    end = max(ended) if ended else run.ended_at if run else None
    return ReplayTotals(
        status=last.status if last else str(run.status or "") if run else "",
        output=run.output if run else last.output if last else None,
        error=last.error if last else run.error if run else None,
        seconds=(end - node.started_at).total_seconds() if end else None,
        input_tokens=_sum(step.input_tokens for step in steps),
        output_tokens=_sum(step.output_tokens for step in steps),
        cost_usd=_sum(step.cost_usd for step in steps),
    )


def _partners(before: Recorded, after: Recorded) -> Mapping[Recorded, Recorded]:
    """The former counterpart of each present step: by the replay's mark, else by name and turn."""
    by_id = {child.id: child for child in before.children}
    by_id |= {child.run.run_id: child for child in before.children if child.run is not None}
    found: dict[Recorded, Recorded] = {}
    for child in after.children:
        if (was := by_id.get(str(_marked(child, "replayed_from")))) is not None:
            found[child] = was
    free = [child for child in before.children if child not in found.values()]
    for child in after.children:
        # A step of ours that the replay has not found in the record is new, whatever its name.
        if child not in found and child.instrumentation is not None:
            named = [was for was in free if was.name == child.name]
            if named:
                found[child] = named[0]
                free.remove(named[0])
    return found


def _gone(
    before: Recorded,
    partners: Mapping[Recorded, Recorded],
    listed: set[Recorded],
    depth: int,
    until: Recorded | None = None,
) -> Iterator[ComparedStep]:
    still = set(partners.values())
    for child in before.children:
        if child is until:
            return
        if child not in listed and child not in still:
            listed.add(child)
            yield ComparedStep(child.label, depth, "gone", figures(child), None)


def _what(was: ReplayTotals, now: ReplayTotals) -> What:
    if was.status != now.status or was.error != now.error:
        return "changed"
    if was.output is None and now.output is None:
        return "same"
    if was.output is None or now.output is None:
        return "unknown"
    return "same" if was.output == now.output else "changed"


def _marked(node: Recorded, name: str) -> object:
    return node.last.attributes.get(name) if node.last else None


def _place(top: Recorded, score: Score) -> str:
    """The label of a score's step."""
    return next((node.label for node in top.all() if node.id == score.step_id), score.step_id or "")


def _sum(values: Iterable[N | None]) -> N | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


__all__ = ["ComparedScore", "ComparedStep", "ReplayTotals", "What", "compared", "figures", "scored"]

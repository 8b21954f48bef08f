"""A recorded run as a tree of the calls made by its code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from upshot.errors import ReplayRefused
from upshot.otel.runs import trace_of
from upshot.replays.history import Story
from upshot.schemas.runs import Run
from upshot.schemas.steps import Step
from upshot.sdk.tracing import INSTRUMENTATION

_NEVER = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Recorded:
    """A step, or a run, with its children in the order of their beginning.

    `attempts` are the steps with this id by their number; the run itself has none. `run` is set for a run,
    and for the step of a nested run.
    """

    id: str
    name: str
    started_at: datetime
    attempts: dict[int, Step] = field(default_factory=dict)
    run: Run | None = None
    parent: Recorded | None = None
    children: list[Recorded] = field(default_factory=list)
    #: The node's place in the order of beginning: parents before their children.
    place: int = 0
    #: The name, with a number where several steps have the same name.
    label: str = ""

    @property
    def last(self) -> Step | None:
        """The last attempt."""
        return self.attempts[max(self.attempts)] if self.attempts else None

    @property
    def arguments(self) -> str | None:
        """The recorded arguments."""
        if self.run is not None:
            return self.run.input
        return None if self.last is None else self.last.input

    @property
    def instrumentation(self) -> str | None:
        """The instrumentation behind a foreign span, which no function of ours stands for; else None."""
        address = None if self.last is None else self.last.attributes.get(INSTRUMENTATION)
        return address if isinstance(address, str) else None

    def all(self) -> Iterator[Recorded]:
        """This node and everything inside, in the order of beginning."""
        yield self
        for child in self.children:
            yield from child.all()

    def around(self, other: Recorded) -> bool:
        """Whether the other node is inside this node."""
        above = other.parent
        while above is not None and above is not self:
            above = above.parent
        return above is self

    def asked(self) -> Iterator[Recorded]:
        """The calls made by the node's own code: steps of ours, also below a span of an instrumentation."""
        for child in self.children:
            if child.instrumentation is None:
                yield child
            else:
                yield from child.asked()


def recorded_of(story: Story) -> Recorded:
    """The tree of a run."""
    top = Recorded(story.run.run_id, story.run.agent or "", story.run.started_at or _NEVER, run=story.run)
    places: dict[tuple[str, str], Recorded] = {}
    for step in sorted(story.steps, key=lambda step: step.attempt):
        node = places.setdefault(
            (step.run_id, step.step_id), Recorded(step.step_id, step.name, step.started_at or _NEVER)
        )
        node.attempts[step.attempt] = step
    roots = {story.run.run_id: top}
    for run in story.nested:
        roots[run.run_id] = _root_of(run, places)
    for (run_id, _), node in places.items():
        above = node.last.parent_step_id if node.last else None
        node.parent = places.get((run_id, above or "")) or roots[run_id]
    for run in story.nested:
        if (root := roots[run.run_id]).parent is None:
            root.parent = roots.get(run.parent_run_id or "", top)
    for node in {*places.values(), *roots.values()} - {top}:
        assert node.parent is not None
        node.parent.children.append(node)
    _number(top)
    return top


def find(top: Recorded, address: str, names: str = "--from") -> Recorded:
    """The step meant by a text: an id, a name (its first step), or name#number. Raises ReplayRefused."""
    # Steps of ours before spans with the same name.
    steps = sorted((n for n in top.all() if n is not top), key=lambda n: (bool(n.instrumentation), n.place))
    name, _, number = address.rpartition("#")
    for node in steps:
        if address in (node.id, node.label, node.name) or (number == "1" and node.name == name):
            break
    else:
        listed = ", ".join(node.label for node in steps if node.instrumentation is None) or "none at all"
        raise ReplayRefused(f"run {top.id} has no step {address!r}; nothing was run: its steps are {listed}")
    if node.instrumentation is None:
        return node
    above = node.parent
    while above is not None and above.instrumentation is not None:
        above = above.parent
    instead = f"{names} {above.label}" if above is not None and above is not top else "a step around it"
    raise ReplayRefused(
        f"{node.label} is a span of {node.instrumentation}, no step of your code, and can't be told apart "
        f"from other calls; nothing was run: write {instead}"
    )


def _root_of(run: Run, places: Mapping[tuple[str, str], Recorded]) -> Recorded:
    """The outer run's step for a nested run; a new node where the step wasn't recorded."""
    trace = trace_of(run.run_id)
    span = trace[1] if trace else str(run.attributes.get("span_id", ""))
    node = places.get((run.parent_run_id or "", span))
    if node is None:
        node = Recorded(span or run.run_id, f"invoke_agent {run.agent}", run.started_at or _NEVER)
    node.run = run
    return node


def _number(top: Recorded) -> None:
    """Put all nodes in order, and number the labels of nodes with the same name."""
    for node in top.all():
        node.children.sort(key=lambda child: (child.started_at, _ended(child), child.id))
    ordered = sorted(top.all(), key=lambda node: node.started_at)
    for place, node in enumerate(ordered):
        node.place = place
    steps = [node for node in ordered if node is not top]
    counts = _counts(node.name for node in steps)
    seen: dict[str, int] = {}
    for node in steps:
        seen[node.name] = seen.get(node.name, 0) + 1
        node.label = node.name if counts[node.name] == 1 else f"{node.name}#{seen[node.name]}"


def _ended(node: Recorded) -> datetime:
    return (node.last.ended_at if node.last else None) or _NEVER


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


__all__ = ["Recorded", "find", "recorded_of"]

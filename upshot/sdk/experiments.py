"""Experiments in an agent's code: choosing a variant is part of the run, and costs microseconds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from upshot.errors import Misuse, SpoolFull
from upshot.experiments.assignment import Assigned, Assigner, Custom, Decision, NotExposed
from upshot.experiments.definition import Definition
from upshot.otel.span import instant_of
from upshot.sdk.context import run_in
from upshot.sdk.facts import exposure_message
from upshot.sdk.forgiving import raised_or_warned

if TYPE_CHECKING:
    from upshot.sdk.declaring import Experiments
    from upshot.sdk.runs import Run

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("upshot")

#: Reasons that somebody has to look into: the run's attribute `upshot.not_exposed` has them, by experiment.
_FAULTS = frozenset({"no_unit", "no_weight", "missing_arm", "failed", "other_unit", "newer_hash"})
#: Variants forced by tests, over all others.
_forced: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Variant(Generic[T]):
    """The variant given to a run: its name, and what the code has under the name."""

    name: str
    value: T
    #: Whether the run takes part; else the variant is the control, and nothing was recorded.
    exposed: bool = True
    #: The phase of the experiment, empty where the run takes no part.
    phase: str = ""
    #: How likely the choice was; None where nobody knows, or the run takes no part.
    probability: float | None = None


class Experiment(Generic[T]):
    """An experiment of an app, made by `app.experiment`."""

    def __init__(
        self, app: Experiments, arms: Mapping[str, T], declared: Definition, custom: Custom | None = None
    ) -> None:
        self.name = declared.name
        self.arms = dict(arms)
        self._app = app
        self._declared = declared
        self._custom = custom
        self._assigner = self._made(declared)
        self._noted: set[str] = set()

    def choose(self, unit: object = None) -> Variant[T]:
        """The variant of the current run; the exposure is recorded once per run.

        `unit` is the randomised unit, such as a user's id; the run itself where the experiment's unit is
        `run`. Waits, deferrals and scores of the run carry the variant. Without a unit, outside the
        experiment and after any fault the variant is the control, without an exposure. Raises Misuse outside
        a run.
        """
        run = run_in(None)
        if run is None:
            raised_or_warned(
                self._app,
                Misuse(
                    f"experiment {self.name!r} chooses a variant for a run, and there is no run here: call "
                    "choose in a function with @app.agent or inside `with app.run(name):`, or look without "
                    "recording by peek(unit)"
                ),
            )
            return self._variant(NotExposed(self._declared.control, "failed"))
        known = self._text(unit, run)
        before = run.chosen.get((self.name, known))
        if before is None:
            before = run.chosen.setdefault((self.name, known), self._chosen(run, known))
        return self._variant(before)

    def peek(self, unit: object = None, *, attributes: Mapping[str, Any] | None = None) -> Variant[T]:
        """The variant that `choose` would give now; nothing is recorded, and no run is needed."""
        run = run_in(None)
        facts = {"attributes": attributes} if attributes is not None else _facts(run)
        return self._variant(self._decided(self._text(unit, run), facts))

    def run(
        self, branches: Mapping[str, Callable[..., R]], /, *args: Any, unit: object = None, **kwargs: Any
    ) -> R:
        """Choose, and call the variant's branch with the arguments; an async branch is awaited by the caller.

        Raises Misuse where an arm has no branch, before anything is chosen.
        """
        missing = [name for name in self.arms if name not in branches]
        if missing:
            raise Misuse(
                f"experiment {self.name!r}: run has no branch for {', '.join(missing)}; write "
                f"run({{'{missing[0]}': function, …}}, argument, unit=…)"
            )
        return branches[self.choose(unit).name](*args, **kwargs)

    def expose(self, variant: str, *, unit: object = None, probability: float | None = None) -> Variant[T]:
        """Record a variant assigned elsewhere, with its probability where known: strategy `external`."""
        run = run_in(None)
        if run is None or variant not in self.arms:
            where = "there is no run here" if run is None else f"it has no arm {variant!r:.100}"
            raised_or_warned(self._app, Misuse(f"experiment {self.name!r} records no exposure: {where}"))
            return self._variant(NotExposed(self._declared.control, "failed"))
        known = self._text(unit, run) or run.id
        given = Assigned(variant, known, self._assigner.definition.phase, "external", probability)
        return self._variant(run.chosen.setdefault((self.name, known), self._recorded(run, given)))

    @property
    def unit(self) -> str:
        """The kind of randomised unit: `run`, or such as `user`."""
        return self._declared.unit

    def probability_of(self, arm: str) -> float | None:
        """An arm's share of the present weights; None for an arm without a weight."""
        weights = self._present().definition.weights
        total = sum(weights.values())
        return weights.get(arm, 0.0) / total if weights.get(arm, 0.0) > 0 else None

    def __repr__(self) -> str:
        return f"<experiment {self.name}: {', '.join(self.arms)}>"

    def _chosen(self, run: Run, unit: str | None) -> Decision:
        if run.replaying is not None:
            return self._replayed(run.replaying.variant_of(self.name), unit)
        decision = self._recorded(run, self._decided(unit, _facts(run)))
        if isinstance(decision, NotExposed) and decision.because in _FAULTS:
            run.not_exposed(self.name, decision.because)
            self._warn(decision)
        return decision

    def _replayed(self, variant: str | None, unit: str | None) -> Decision:
        """The variant of a replay, without an exposure; the control where the recorded run had none."""
        if variant is None:
            return NotExposed(self._declared.control, "replayed")
        if variant not in self.arms:
            decision = NotExposed(self._declared.control, "missing_arm", variant)
            self._warn(decision)
            return decision
        return Assigned(variant, unit or "", self._declared.phase, "replayed", None)

    def _decided(self, unit: str | None, facts: Mapping[str, Any]) -> Decision:
        try:
            assigner = self._present()
            forced = _forced.get(self.name) or self._app.forced_variants.get(self.name)
            if forced is not None:
                return assigner.forced(forced, unit or "forced")
            registered = assigner.definition
            if registered.source != "code" and registered.unit != self._declared.unit:
                return NotExposed(registered.control, "other_unit", registered.unit)
            return assigner.assign(unit, facts)
        except Exception as error:  # noqa: BLE001 - a strategy of the agent's own, too: the agent never fails
            return NotExposed(self._declared.control, "failed", f"{type(error).__name__}: {error}")

    def _present(self) -> Assigner:
        """The registry's definition, else the code's; made anew only after a change."""
        definition = self._app.registry.definition(self.name) or self._declared
        if definition is not self._assigner.definition:
            self._assigner = self._made(definition)
            if unlisted := [arm for arm in self.arms if arm not in definition.weights]:
                logger.warning(
                    "experiment %r gives nobody the arms %s of the code: the registry doesn't list them; add "
                    "them by `upshot experiments set`",
                    self.name,
                    ", ".join(unlisted)[:300],
                )
        return self._assigner

    def _made(self, definition: Definition) -> Assigner:
        return Assigner(definition, self.arms, self._custom)

    def _recorded(self, run: Run, decision: Decision) -> Decision:
        """The decision once its exposure is safe; nobody gets a variant that can't be recorded."""
        if isinstance(decision, NotExposed):
            return decision
        try:
            message = exposure_message(
                run_id=run.id,
                experiment=self.name,
                variant=decision.variant,
                phase=decision.phase,
                probability=decision.probability,
                unit=decision.unit,
                strategy=decision.strategy,
                weights_from=self._assigner.definition.source,
                exposed_at=instant_of(run.now_ns()),
            )
            run.event_sink.fact(message)
        except (Misuse, SpoolFull) as error:
            return NotExposed(self._declared.control, "failed", str(error))
        return decision

    def _variant(self, decision: Decision) -> Variant[T]:
        name = decision.variant if decision.variant in self.arms else self._declared.control
        if isinstance(decision, NotExposed):
            return Variant(name, self.arms[name], exposed=False)
        return Variant(name, self.arms[name], phase=decision.phase, probability=decision.probability)

    def _text(self, unit: object, run: Run | None) -> str | None:
        if unit is None:
            return run.id if run is not None and self._declared.unit == "run" else None
        try:
            return str(unit)[:512]
        except Exception:  # noqa: BLE001 - a class of the agent's own: the agent never fails
            return None

    def _warn(self, decision: NotExposed) -> None:
        """Once for each reason in this process; the runs' attributes have the counts."""
        if decision.because not in self._noted:
            self._noted.add(decision.because)
            logger.warning(
                "experiment %r gives the control %r without an exposure: %s%s",
                self.name,
                decision.variant,
                _WORDS[decision.because],
                f" ({decision.detail})" if decision.detail else "",
            )


_WORDS: Mapping[str, str] = {
    "no_unit": "choose got no unit; write choose(unit=ticket.user_id)",
    "no_weight": "all its weights are zero; set them with `upshot experiments set`",
    "missing_arm": "the code lacks the chosen arm; deploy code with the arm, or set its weight to 0",
    "failed": "choosing failed",
    "newer_hash": "its record names a hash that this release lacks; deploy a newer release",
    "other_unit": "the registry randomises another kind of unit than the code; start another experiment",
}


def _facts(run: Run | None) -> Mapping[str, Any]:
    if run is None:
        return {"attributes": {}}
    return {"attributes": run.attributes, "agent": run.agent, "version": run.version}


@contextmanager
def forced(variants: Mapping[str, str]) -> Iterator[None]:
    """Inside this `with`, in all threads of the process, experiments give these variants."""
    before = dict(_forced)
    _forced.update(variants)
    try:
        yield
    finally:
        _forced.clear()
        _forced.update(before)


__all__ = ["Experiment", "Variant", "forced"]

"""The variant of a unit: the decision, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from upshot.experiments.audience import in_audience
from upshot.experiments.definition import Definition
from upshot.experiments.draws import HASH, HOLDOUT, LAYER, TRAFFIC, Arms, draw
from upshot.schemas.experiments import LAYER_SLOTS

#: Why a unit gets the control without an exposure. `not_running`: the experiment is a draft, or stopped.
#: `no_unit`: the caller named none. `no_weight`: all weights are zero. `audience`, `holdout`, `layer` and
#: `traffic` leave the unit out. `missing_arm`: the code lacks the chosen arm. `failed`: choosing failed.
#: `other_unit`: the registry randomises another kind of unit than the code. `replayed`: a replay of a run
#: that was not exposed. `newer_hash`: the record names a hash that this release lacks.
Because = Literal[
    "not_running",
    "no_unit",
    "no_weight",
    "audience",
    "holdout",
    "layer",
    "traffic",
    "missing_arm",
    "failed",
    "other_unit",
    "replayed",
    "newer_hash",
]
#: A strategy of the caller's own: an arm, or an arm with its probability, of a unit and the facts of its run.
Custom = Callable[[str, Mapping[str, Any]], str | tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Assigned:
    """The unit is in the experiment. `probability` is None where nobody knows how likely the choice was."""

    variant: str
    unit: str
    phase: str
    strategy: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class NotExposed:
    """The unit isn't in the experiment, and gets the control. `detail` names an arm or an error."""

    variant: str
    because: Because
    detail: str = ""


Decision = Assigned | NotExposed


class Assigner:
    """Decides by one definition. `served` are the arms that the code has; all arms where absent."""

    def __init__(
        self, definition: Definition, served: Collection[str] | None = None, custom: Custom | None = None
    ) -> None:
        self.definition = definition
        self._served = frozenset(definition.weights if served is None else served)
        self._custom = custom
        self._arms = Arms(definition.name, definition.weights)
        self._gates = _gates(definition)

    def assign(self, unit: str | None, facts: Mapping[str, Any]) -> Decision:
        """The variant of a unit. `facts` are attributes, agent and version of the run."""
        definition = self.definition
        if definition.status not in ("running", "shipped"):
            return NotExposed(definition.control, "not_running")
        if definition.hash_version != HASH:
            return NotExposed(definition.control, "newer_hash", definition.hash_version)
        if not unit:
            return NotExposed(definition.control, "no_unit")
        if not self._arms.probabilities:
            return NotExposed(definition.control, "no_weight")
        for gate in self._gates:
            because = gate(unit, facts)
            if because is not None:
                return NotExposed(definition.control, because)
        return self._chosen(unit, facts)

    def forced(self, variant: str, unit: str) -> Decision:
        """The variant that an override asks for."""
        if variant not in self._served:
            return NotExposed(self.definition.control, "missing_arm", variant)
        return Assigned(variant, unit, self.definition.phase, "forced", None)

    def _chosen(self, unit: str, facts: Mapping[str, Any]) -> Decision:
        definition, strategy = self.definition, self.definition.strategy
        probability: float | None = 1.0
        if definition.status == "shipped" or strategy == "fixed":
            variant, strategy = (
                max(self._arms.probabilities, key=self._arms.probabilities.__getitem__),
                "fixed",
            )
        elif self._custom is not None:
            strategy = "custom"
            variant, probability = _pair(self._custom(unit, facts))
        else:
            variant = self._arms.choose(unit)
            probability = self._arms.probabilities[variant]
        if variant not in self._served:
            return NotExposed(definition.control, "missing_arm", variant)
        return Assigned(variant, unit, definition.phase, strategy, probability)


Gate = Callable[[str, Mapping[str, Any]], Because | None]


def _gates(definition: Definition) -> list[Gate]:
    """Each gate's reason to leave a unit out. A shipped experiment is for the audience but the holdout."""
    gates: list[Gate] = []
    name, audience = definition.name, definition.audience
    if audience is not None:
        gates.append(lambda unit, facts: None if in_audience(audience, facts) else "audience")
    if (holdout := definition.holdout) is not None:
        gates.append(
            lambda unit, facts: "holdout" if draw(HOLDOUT, holdout.name, unit) < holdout.share else None
        )
    if definition.status == "shipped":
        return gates
    if (layer := definition.layer) is not None:
        gates.append(lambda unit, facts: None if layer.holds(slot_of(layer.name, unit)) else "layer")
    if definition.traffic < 1:
        gates.append(
            lambda unit, facts: None if draw(TRAFFIC, name, unit) < definition.traffic else "traffic"
        )
    return gates


def slot_of(layer: str, unit: str) -> int:
    """The slot of a unit in a layer, from 0."""
    return min(int(draw(LAYER, layer, unit) * LAYER_SLOTS), LAYER_SLOTS - 1)


def _pair(answer: str | tuple[str, float | None]) -> tuple[str, float | None]:
    variant, probability = (answer, None) if isinstance(answer, str) else answer
    if not isinstance(variant, str):
        raise TypeError(f"a custom strategy gives an arm, or an arm and its probability, not {answer!r:.100}")
    if probability is not None and not (isfinite(probability) and 0 < probability <= 1):
        raise ValueError(
            f"the probability of {variant!r} is {probability!r:.50}, and has to be above 0 and at most 1"
        )
    return variant, probability


__all__ = ["Assigned", "Assigner", "Because", "Custom", "Decision", "NotExposed", "slot_of"]

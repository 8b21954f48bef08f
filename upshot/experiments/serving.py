"""A variant on request: the decision of the SDK's `choose`, for callers without the SDK. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from upshot.experiments.assignment import Assigned, Assigner, Decision, NotExposed
from upshot.experiments.definition import Definition
from upshot.schemas.assignments import AssignmentAnswer, AssignmentRequest
from upshot.schemas.exposures import Exposure


class Served(NamedTuple):
    """The answer to a request, and the exposure to be recorded; None where there is none."""

    answer: AssignmentAnswer
    exposure: Exposure | None


def served(
    request: AssignmentRequest, definition: Definition, now: datetime, forced: Mapping[str, str]
) -> Served:
    """The variant of a request by a registered definition. `forced` are variants that a setting asks for."""
    decision = _decided(request, definition, request.override or forced.get(request.experiment))
    source = "cache" if definition.source == "cache" else "registry"
    if isinstance(decision, NotExposed):
        answer = AssignmentAnswer(
            experiment=request.experiment,
            variant=_servable(decision.variant, definition, request),
            exposed=False,
            because=decision.because,
            unit=request.unit,
            weights_from=source,
        )
        return Served(answer, None)
    exposure = None if request.peek else _exposure(request, decision, source, now)
    answer = AssignmentAnswer(
        experiment=request.experiment,
        variant=decision.variant,
        exposed=True,
        unit=decision.unit,
        phase=decision.phase,
        probability=decision.probability,
        strategy=decision.strategy,
        weights_from=source,
        exposure_id=exposure.identity if exposure else None,
    )
    return Served(answer, exposure)


def _decided(request: AssignmentRequest, definition: Definition, forced: str | None) -> Decision:
    assigner = Assigner(definition, request.arms or None)
    unit = request.unit
    if unit is None and definition.unit == "run":
        unit = request.run_id
    if forced is not None:
        return assigner.forced(forced, unit or "forced")
    return assigner.assign(unit, request.facts)


def _servable(variant: str, definition: Definition, request: AssignmentRequest) -> str:
    """The control, or of arms without the control the first: the caller has to serve something."""
    arms = request.arms or list(definition.weights)
    return variant if variant in arms else arms[0]


def _exposure(request: AssignmentRequest, decision: Assigned, source: str, now: datetime) -> Exposure:
    assert request.run_id is not None, "the schema asks for a run"
    return Exposure(
        run_id=request.run_id,
        experiment=request.experiment,
        variant=decision.variant,
        phase=decision.phase,
        probability=decision.probability,
        unit=decision.unit,
        strategy=decision.strategy,
        weights_from=source,
        exposed_at=request.exposed_at or now,
    )


__all__ = ["Served", "served"]

"""An experiment as people write one, on the command line or in a form: texts to a draft for the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from pydantic import ValidationError

from upshot.errors import ConfigurationError
from upshot.insights.experiments.registry import parse_metric
from upshot.schemas.experiments import Experiment

_UNCHANGED = "nothing was changed"


@dataclass(frozen=True)
class StatedExperiment:
    """What somebody has written; texts as they came."""

    name: str
    control: str
    #: `plain=1,warm=1`.
    variants: str
    unit: str = "run"
    #: Metrics to decide on, `NAME:rate:P7D`, and guardrails, `NAME:mean:+10%`.
    decide: Sequence[str] = ()
    guard: Sequence[str] = ()
    mde: float | None = None
    planned: int | None = None
    alpha: float = 0.05
    traffic: str = "1"
    audience: str | None = None
    #: `NAME:FIRST-AFTER`, once for each range of slots.
    layer: Sequence[str] = ()
    #: `NAME:SHARE`.
    holdout: str | None = None
    adaptive: bool = False
    #: How long the experiment may run, such as `P28D`.
    cap: str | None = None
    reason: str = ""


def drafted(stated: StatedExperiment, at: datetime) -> Experiment:
    """The draft. Raises ConfigurationError, saying how to write what can't be meant.

    Without `planned` the units follow from `mde`, for a rate of 50%, which needs the most.
    """
    weights = parse_weights(stated.variants)
    metrics = [_metric(text, guardrail=False) for text in stated.decide]
    metrics += [_metric(text, guardrail=True) for text in stated.guard]
    for name, weight in weights.items():
        if not 0 <= weight < inf:
            raise ConfigurationError(
                f"the weight of {name!r:.100} is {weight:g}: write a finite number, 0 for a variant given to "
                f"nobody; {_UNCHANGED}"
            )
    if not sum(weights.values()) > 0:
        raise ConfigurationError(f"at least one variant needs a weight above zero; {_UNCHANGED}")
    fields: dict[str, Any] = {
        "experiment": stated.name, "control": stated.control, "variants": weights, "unit": stated.unit,
        "metrics": metrics, "mde": stated.mde, "alpha": stated.alpha, "traffic": parse_share(stated.traffic),
        "strategy": "adaptive" if stated.adaptive else "weighted" if stated.unit == "run" else "bucket",
        "planned_units": stated.planned or _planned(metrics, weights, stated),
        "audience": stated.audience, "reason": stated.reason, "layer": _layer(stated.layer),
        "holdout": _holdout(stated.holdout), "cap": stated.cap, "status": "draft", "changed_at": at,
    }  # fmt: skip
    try:
        return Experiment.model_validate(fields)
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(str(part) for part in found["loc"])
        raise ConfigurationError(
            f"{stated.name} can't be started: {f'{place}: ' if place else ''}{found['msg']}; {_UNCHANGED}"
        ) from None


def _planned(
    metrics: Sequence[Mapping[str, Any]], weights: Mapping[str, float], stated: StatedExperiment
) -> int | None:
    """The units that a rate of 50% needs; None where no rate decides, or no effect was named."""
    from upshot.insights.statistics.power import compared_pair, of_all_arms, units_needed  # scipy is slow

    others: Iterable[float] = (weight for name, weight in weights.items() if name != stated.control)
    pair = compared_pair(weights.get(stated.control, 0.0), others)
    decides_on_rate = bool(metrics) and metrics[0]["role"] == "decision" and metrics[0]["kind"] == "rate"
    if not stated.mde or not decides_on_rate or pair is None or not 0 < stated.alpha < 0.5:
        return None
    try:
        units = units_needed((0.25, 0.25), pair, stated.mde, stated.alpha)
    except (OverflowError, ValueError):
        raise ConfigurationError(f"no number of units finds so small an effect; {_UNCHANGED}") from None
    return of_all_arms(units, pair, weights.values())


def _metric(text: str, *, guardrail: bool) -> dict[str, Any]:
    metric = parse_metric(text, guardrail=guardrail)
    return {
        "name": metric.name,
        "kind": "rate" if metric.boolean else "mean",
        "role": metric.use,
        "better": "lower" if metric.lower_is_better else "higher",
        "window": metric.window or None,
        "grace": metric.grace,
        "margin": metric.margin or None,
    }


def parse_weights(text: str) -> dict[str, float]:
    """`plain=9,warm=1`; a name alone has the weight 1."""
    found: dict[str, float] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, equals, weight = (piece.strip() for piece in pair.partition("="))
        try:
            found[name] = float(weight if equals else "1")
        except ValueError:
            raise ConfigurationError(
                f"write NAME=WEIGHT,… such as plain=9,warm=1, not {text!r:.100}; {_UNCHANGED}"
            ) from None
    return found


def parse_share(text: str, name: str = "traffic") -> float:
    """`20%` or `0.2`."""
    try:
        share = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(f"{name} is a share such as 20% or 0.2, not {text!r:.100}; {_UNCHANGED}")
    return share


def _layer(texts: Sequence[str]) -> dict[str, Any] | None:
    """`support:0-500`, once for each range of slots."""
    slots: list[tuple[int, int]] = []
    names: set[str] = set()
    for text in texts:
        name, _, range_ = text.rpartition(":")
        first, _, after = range_.partition("-")
        if not (name and first.isdecimal() and after.isdecimal() and len(range_) < 10):
            raise ConfigurationError(
                f"a layer is a name with a range of slots, such as support:0-500, not {text!r:.100}; "
                f"{_UNCHANGED}"
            )
        names.add(name)
        slots.append((int(first), int(after)))
    if len(names) > 1:
        raise ConfigurationError(f"an experiment lies in one layer: give the layer one name; {_UNCHANGED}")
    return {"name": names.pop(), "slots": slots} if slots else None


def _holdout(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    name, colon, share = text.partition(":")
    if not name or not colon:
        raise ConfigurationError(f"a holdout is written global:5%, not {text!r:.100}; {_UNCHANGED}")
    return {"name": name, "share": parse_share(share, "a holdout")}


__all__ = ["StatedExperiment", "drafted", "parse_share", "parse_weights"]

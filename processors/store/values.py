"""How the values of events look in ClickHouse: free facts, numbers, experiments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from upshot.schemas.exposures import Assignment


def text_of(value: Any) -> str:
    """A free fact as text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Free facts as a Map(String, String)."""
    return {name: text_of(value) for name, value in attributes.items()}


def assignments(exposures: Iterable[Assignment]) -> list[tuple[str, str, str, float]]:
    """The experiments of a wait or a score, in an order of their own; an unknown probability is 0."""
    return sorted((e.experiment, e.variant, e.phase, float(e.probability or 0)) for e in exposures)


def number_of(value: bool | float | None) -> float | None:
    """A score's value as a number: false is 0, true is 1."""
    return None if value is None else float(value)


def kind_of(value: bool | float | None) -> str:
    """The kind of a value: a boolean or a number; empty for none."""
    return "" if value is None else "boolean" if isinstance(value, bool) else "number"


__all__ = ["assignments", "kind_of", "number_of", "text_of", "texts"]

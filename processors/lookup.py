"""Looking up paths in an outcome, within the budget of `upshot.schemas.expressions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from upshot.processors.state import Known
from upshot.schemas.expressions import compiled
from upshot.streams.instants import instant


@lru_cache(maxsize=1024)
def finder(path: str) -> Callable[[Known], Any]:
    """What looks `path` up in an outcome. Most paths are names with dots, for which JMESPath is a detour.

    Raises JMESPathError, and so does what it returns: OverBudget where it takes too many steps for so much data.
    """
    expression = compiled(path)
    if expression.names is not None and expression.names[0] == "data":
        return _walker(expression.names[1:])
    return lambda outcome: expression.search(_envelope(outcome), len(bytes(outcome.data_json)))


def _walker(names: Sequence[str]) -> Callable[[Known], Any]:
    def walk(outcome: Known) -> Any:
        data = outcome.data
        for name in names:
            data = data.get(name) if isinstance(data, dict) else None
        return data

    return walk


def _envelope(outcome: Known) -> dict[str, Any]:
    return {
        "type": outcome.type,
        "id": outcome.id,
        "source": outcome.source,
        "time": instant(outcome.time).isoformat(),
        "data": outcome.data,
    }


__all__ = ["finder"]

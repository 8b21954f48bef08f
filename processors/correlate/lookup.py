"""Looking up paths in an outcome, within the budget of `upshot.schemas.expressions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from upshot.processors.correlate.state import StoredOutcome
from upshot.schemas.expressions import compiled
from upshot.streams.events.instants import instant


@lru_cache(maxsize=1024)
def finder(path: str) -> Callable[[StoredOutcome], Any]:
    """What looks `path` up in an outcome. Most paths are names with dots, for which JMESPath is a detour.

    Raises JMESPathError, and so does what it returns: OverBudget where it takes too many steps for so much
    data.
    """
    expression = compiled(path)
    if expression.names is not None and expression.names[0] == "data":
        return _walker(expression.names[1:])
    return lambda outcome: expression.search(_envelope(outcome), len(bytes(outcome.data_json)))


def _walker(names: Sequence[str]) -> Callable[[StoredOutcome], Any]:
    def look_up_names(outcome: StoredOutcome) -> Any:
        data = outcome.data
        for name in names:
            data = data.get(name) if isinstance(data, dict) else None
        return data

    return look_up_names


def _envelope(outcome: StoredOutcome) -> dict[str, Any]:
    return {
        "type": outcome.type,
        "id": outcome.id,
        "source": outcome.source,
        "time": instant(outcome.time).isoformat(),
        "data": outcome.data,
    }


__all__ = ["finder"]

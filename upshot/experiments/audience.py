"""The audience: a JMESPath over the facts of a run, read before assignment, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jmespath.exceptions import JMESPathError

from upshot.schemas.expressions import compiled


def in_audience(path: str, facts: Mapping[str, Any]) -> bool:
    """Whether the path gives true. An expression that fails, or takes too many steps, doesn't."""
    try:
        return compiled(path).search(facts, 0) is True
    except JMESPathError:
        return False


__all__ = ["in_audience"]

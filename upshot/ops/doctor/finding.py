"""The finding of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `fine`; `notice`: worth a look, nothing is broken; `wrong`: something must be done; `unknown`: it could
#: not be looked at because of something else that is wrong.
State = Literal["fine", "notice", "wrong", "unknown"]


@dataclass(frozen=True)
class Finding:
    """A check: the part looked at, the finding, and the remedy."""

    check: str
    state: State
    found: str
    to_do: str = ""


def unknown(*checks: str, because: str) -> list[Finding]:
    """Checks not possible."""
    return [Finding(check, "unknown", f"not looked at: {because}") for check in checks]


__all__ = ["Finding", "State", "unknown"]

"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `fine`; `notice`: worth a look, nothing is broken; `wrong`: something must be done; `unknown`: it could
#: not be looked at because of something else that is wrong.
State = Literal["fine", "notice", "wrong", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, what was found, and what to do about it."""

    check: str
    state: State
    found: str
    to_do: str = ""


def unknown(*checks: str, because: str) -> list[Finding]:
    """Checks that could not be made."""
    return [Finding(check, "unknown", f"not looked at: {because}") for check in checks]


__all__ = ["Finding", "State", "unknown"]

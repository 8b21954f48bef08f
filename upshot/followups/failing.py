"""The errors of a user's code, in a few lines: the error, and the places in the code."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_OURS = str(Path(__file__).resolve().parents[1])
_LIBRARY = sysconfig.get_paths()["stdlib"]
_LONGEST = 4_000


def error_text(error: BaseException, *, frames: int = 5) -> str:
    """An error with its kind, the last `frames` places in the user's code, and the error behind the error."""
    if isinstance(error, BaseExceptionGroup) and error.exceptions:
        return error_text(error.exceptions[0], frames=frames)
    lines = [_shown(error), *places(error, frames)]
    behind = error.__cause__
    if behind is not None:
        lines += [f"because of {_shown(behind)}", *places(behind, frames)]
    return "\n".join(lines)[:_LONGEST]


def places(error: BaseException, frames: int) -> list[str]:
    """The places of the raising, outermost first: without our own and the standard library's code."""
    walked = traceback.extract_tb(error.__traceback__) if frames else []
    return [place(frame) for frame in walked if is_users(frame.filename)][-frames or len(walked) :]


def place(frame: traceback.FrameSummary) -> str:
    """One place, in the form of a traceback."""
    return f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"


def is_users(file: str) -> bool:
    """Whether code is neither ours nor the standard library's."""
    if file.startswith("<"):
        return False
    return not file.startswith(_OURS) and (not file.startswith(_LIBRARY) or "site-packages" in file)


def _shown(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {error}".removesuffix(": ")


__all__ = ["error_text", "is_users", "place", "places"]

"""Numbers of other libraries (numpy, torch, Decimal, Fraction) as Python's own; none of these is imported."""

from __future__ import annotations

from typing import Any

#: Classes of booleans that aren't Python's, by name.
_BOOLEANS = ("bool_", "bool")
#: Python's own numbers. Made once: a union inside a function is made at each call, for more than the check.
OWN = bool | int | float
_PLAIN = str | bool | int | float


def plain_number(value: Any) -> bool | int | float | None:
    """The same number or boolean as Python's own; None for all other values."""
    if isinstance(value, OWN):
        return value
    if isinstance(value, str | bytes | bytearray | complex):
        return None
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, type):
        try:
            found = item()
        except Exception:  # noqa: BLE001 - of several elements, or not ready: no single value
            return None
        if isinstance(found, OWN):
            return found
    if type(value).__name__ in _BOOLEANS:
        return bool(value)
    if isinstance(value, type) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return None
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - somebody's code: whatever it raises, there is no number
        return None


def plain(value: Any) -> Any:
    """A number of another library as Python's own; all other values unchanged."""
    if value is None or isinstance(value, _PLAIN):
        return value
    number = plain_number(value) if _is_scalar(value) else None
    return value if number is None else number


def _is_scalar(value: Any) -> bool:
    return not hasattr(value, "__len__") or getattr(value, "shape", None) == ()


__all__ = ["OWN", "plain", "plain_number"]

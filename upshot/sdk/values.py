"""Values of judges, data frames and tensors, as the plain numbers and booleans of the contract."""

from __future__ import annotations

from math import isfinite
from typing import Any

from upshot.errors import Misuse
from upshot.schemas.numbers import OWN, plain_number


def plain_value(value: Any, name: str) -> bool | float:
    """A score's value as a boolean or a number. Raises Misuse for other values and for non-finite numbers.

    Taken are numbers of every sort: numpy's and torch's scalars, Decimal, Fraction, and objects with
    `__float__`.
    """
    plain = value if isinstance(value, OWN) else plain_number(value)
    if plain is None:
        raise Misuse(
            f"{shown(value)} is no score: write a number or a boolean, such as score({name!r}, True); a text "
            f"can be the comment{_several(value)}"
        )
    if not isinstance(plain, bool):
        try:
            finite = isfinite(plain)
        except OverflowError:
            finite = False
        if not finite:
            raise Misuse(
                f"{shown(value)} is no score for {name!r}, since it is not a finite number: what gave it "
                "failed or divided by zero; leave the score out, or give it a value that says so"
            )
    return plain


def shown(value: Any) -> str:
    """A value for a message, shortened."""
    try:
        return repr(value)[:100]
    except Exception:  # noqa: BLE001 - somebody's code, or a number of too many digits
        return f"a {type(value).__name__}"


def _several(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"; of an array of shape {tuple(shape)} give one element, or its mean" if shape else ""


__all__ = ["plain_value", "shown"]

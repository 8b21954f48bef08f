"""Numbers as people say them."""

from __future__ import annotations

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def span(seconds: float) -> str:
    """A length of time in a single unit; below two of a unit the smaller unit says more."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def per_second(rate: float, what: str = "") -> str:
    """So many a second, to a tenth where they are few."""
    number = f"{rate:,.0f}" if rate >= 10 or rate == int(rate) else f"{rate:.1f}"
    return f"{number} {what}/s" if what else f"{number}/s"


def size(amount: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


__all__ = ["per_second", "size", "span"]

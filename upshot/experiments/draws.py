"""The hash `upshot-1`: numbers in (0, 1] from texts, the same in every language and in SQL.

A number is made from MurmurHash3 x64_128 with seed 0 over the parts, each as its length in UTF-8 bytes in
decimal, a colon and the bytes: ("ab", "c") and ("a", "bc") differ. Of the hash the first eight bytes, read as
a little-endian integer, lose their lowest 11 bits; the rest plus a half, divided by 2^53, is the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log

from mmh3 import mmh3_x64_128_utupledigest as murmur3

#: The version of the hash: recorded with each experiment, and the first part of each hashed text.
HASH = "upshot-1"
#: The first parts of other numbers than the variant's: a ramp moves nobody between arms.
TRAFFIC, LAYER, HOLDOUT = f"{HASH}-traffic", f"{HASH}-layer", f"{HASH}-holdout"
_WIDTH = float(2**53)


def part(text: str) -> bytes:
    """One part, as hashed: length in bytes, a colon, the bytes."""
    encoded = text.encode("utf-8", "surrogatepass")
    return b"%d:%b" % (len(encoded), encoded)


def draw(*parts: str) -> float:
    """The number of some texts."""
    return number(b"".join(map(part, parts)))


def number(data: bytes) -> float:
    """The number of parts joined already."""
    return ((murmur3(data, 0)[0] >> 11) + 0.5) / _WIDTH


class Arms:
    """Variants with positive weights, ready for choosing: weighted rendezvous hashing.

    Of all arms, the one with the least -ln(u) / weight wins, where u is the number of hash version,
    experiment, unit and arm. A further arm takes units from all others in proportion, and moves nobody
    between the others.
    """

    def __init__(self, experiment: str, weights: Mapping[str, float]) -> None:
        self._prefix = part(HASH) + part(experiment)
        #: Sorted by name: of equal arms the first wins.
        self._arms = [(name, part(name), weight) for name, weight in sorted(weights.items()) if weight > 0]
        total = sum(weight for _, _, weight in self._arms)
        #: How likely each arm is.
        self.probabilities = {name: weight / total for name, _, weight in self._arms}

    def choose(self, unit: str) -> str:
        """The arm of a unit. There has to be an arm of positive weight."""
        before = self._prefix + part(unit)
        best, least = "", float("inf")
        for name, suffix, weight in self._arms:
            distance = -log(number(before + suffix)) / weight
            if distance < least:
                best, least = name, distance
        return best


__all__ = ["HASH", "HOLDOUT", "LAYER", "TRAFFIC", "Arms", "draw", "number", "part"]

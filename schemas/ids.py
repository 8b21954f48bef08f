"""Deterministic ids: a hash of a fact's subject matter, never a date or a random number."""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct

_LENGTH = Struct(">I").pack


def fact_id(*parts: str) -> str:
    """The id of the fact named by `parts`: 32 hexadecimal digits, the same everywhere and for ever.

    BLAKE2b with a 16-byte digest over the parts, each preceded by its length in UTF-8 bytes, so that ("ab",
    "c") and ("a", "bc") differ.
    """
    data = b""
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        data += _LENGTH(len(encoded)) + encoded
    return blake2b(data, digest_size=16).hexdigest()


__all__ = ["fact_id"]

"""Which partition a key belongs to: Java's default, murmur2."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MASK = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C
_POSITIVE = 0x7FFFFFFF
#: From so many keys of one length on, hashing them together is faster.
_MANY = 16


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of `key` in a topic of so many; the same as Java's and aiokafka's default."""
    return (murmur2(key) & _POSITIVE) % partitions


def partitions_for(keys: Sequence[bytes], partitions: int) -> list[int]:
    """The partition of each key, in their order: many keys of the same length are hashed together.

    Needs numpy where there are many.
    """
    by_length: dict[int, list[int]] = {}
    for index, key in enumerate(keys):
        by_length.setdefault(len(key), []).append(index)
    found = [0] * len(keys)
    for length, indexes in by_length.items():
        if len(indexes) < _MANY:
            for index in indexes:
                found[index] = partition_for(keys[index], partitions)
        else:
            hashes = _murmur2_all(b"".join([keys[index] for index in indexes]), length, len(indexes))
            places = ((hashes & _POSITIVE) % partitions).tolist()
            for index, place in zip(indexes, places, strict=True):
                found[index] = place
    return found


@lru_cache(maxsize=65_536)
def murmur2(data: bytes) -> int:
    """MurmurHash2, unsigned. Cached, since the events of a subject or a run come together."""
    length = len(data)
    h = _SEED ^ length
    for k in unpack_from(f"<{length >> 2}I", data):
        k = k * _MIX & _MASK
        h = h * _MIX & _MASK ^ (k ^ k >> 24) * _MIX & _MASK
    if tail := data[length & ~3 :]:
        h = (h ^ int.from_bytes(tail, "little")) * _MIX & _MASK
    h = (h ^ h >> 13) * _MIX & _MASK
    return h ^ h >> 15


def _murmur2_all(joined: bytes, length: int, count: int) -> NDArray[np.uint32]:
    """MurmurHash2 of `count` keys of the same length, in sequence in `joined`."""
    # Imported here: who only sends events has no numpy.
    import numpy as np

    mix = np.uint32(_MIX)
    rows = np.frombuffer(joined, np.uint8).reshape(count, length)
    padded = np.zeros((count, -(-length // 4) * 4), np.uint8)
    padded[:, :length] = rows
    words = padded.view("<u4").T
    h = np.full(count, _SEED ^ length, np.uint32)
    for k in words[: length >> 2]:
        k = k * mix
        k ^= k >> 24
        h *= mix
        h ^= k * mix
    if length & 3:
        h = (h ^ words[-1]) * mix
    h ^= h >> 13
    h *= mix
    h ^= h >> 15
    return h


__all__ = ["murmur2", "partition_for", "partitions_for"]

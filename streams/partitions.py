"""Which partition a key belongs to: Java's default, murmur2."""

from __future__ import annotations

from functools import lru_cache
from struct import unpack_from

_MASK = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C


def partition_for(key: bytes, partitions: int) -> int:
    """The partition of `key` in a topic of so many; the same as Java's and aiokafka's default."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


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


__all__ = ["murmur2", "partition_for"]

"""Keys to look at again for receivers that came back, a slice at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

Place = tuple[int, bytes]


class Recall:
    """By receiver, the places in the table of notices that may wait for it."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._places: dict[str, list[Place]] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def begin(self, receiver: str, places: Iterable[Place]) -> None:
        """Look at these from now on."""
        self._places[receiver] = list(places)

    def forget(self) -> None:
        """The partitions belong to another worker now."""
        self._places = {}

    def following(self) -> Mapping[str, Mapping[int, list[bytes]]]:
        """The next slice, by receiver and partition."""
        found: dict[str, Mapping[int, list[bytes]]] = {}
        for receiver, places in list(self._places.items()):
            by_partition: dict[int, list[bytes]] = defaultdict(list)
            for partition, key in places[: self._at_once]:
                by_partition[partition].append(key)
            found[receiver] = by_partition
            self._places[receiver] = places[self._at_once :]
            if not self._places[receiver]:
                del self._places[receiver]
        return found


__all__ = ["Recall"]

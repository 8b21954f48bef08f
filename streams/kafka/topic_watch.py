"""Whether the topics being read are still the topics of the positions."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Literal

from upshot.streams.kafka.topic_ids import Described, text_of

log = logging.getLogger(__name__)

#: `gone`: it was deleted. `made`: there is one of its name again, or at last. `resized`: it has another
#: number of partitions.
Change = Literal["gone", "made", "resized"]

#: Seconds after which the group is asked again for a new assignment.
ASK_AGAIN = 10.0

_REPORTED: Mapping[Change, str] = {
    "gone": "topic %s is gone: no deadline is evaluated until a topic of this name is there again; "
    "`upshot migrate` makes the topic as declared",
    "made": "topic %s was made anew: the new topic is read from its beginning, and deadlines wait meanwhile",
    "resized": (
        "topic %s has another number of partitions: they are assigned anew, and deadlines wait meanwhile"
    ),
}


def change_of(known: Described | None, found: Described | None) -> Change | None:
    """The change of a topic since its positions were taken; None for the same topic."""
    if found is None:
        return "gone"
    if known is None or known.id != found.id:
        return "made"
    return "resized" if known.partitions != found.partitions else None


class TopicWatch:
    """Knows the topics of the positions, by their ids, and their changes since.

    With brokers too old for ids, nothing counts as changed. `look` is given the topics found now and then.
    """

    def __init__(self, topics: Iterable[str], now: Callable[[], float] = monotonic) -> None:
        self._topics = frozenset(topics)
        self._now = now
        self._known: Mapping[str, Described] | None = None
        self._asked_at = -ASK_AGAIN
        self._next: asyncio.Event | None = None
        self._last: dict[str, Change] = {}
        #: Topics that are gone, or others by now.
        self._others: frozenset[str] = frozenset()
        #: Since when a topic is not what the positions belong to. Callable from any thread.
        self.since: dict[str, float] = {}
        #: What happened how often, by topic.
        self.happened: Counter[tuple[str, Change]] = Counter()

    def settle(self, found: Mapping[str, Described] | None) -> None:
        """Positions are taken anew, in the topics found."""
        self._known = found
        self._asked_at = -ASK_AGAIN
        self._others = self._topics - found.keys() if found is not None else frozenset()
        if found is None:
            self.since = {}
            return
        for topic in self._topics:
            if topic in found:
                self.since.pop(topic, None)
            else:
                self._note(topic, "gone")

    def look(self, found: Mapping[str, Described] | None) -> bool:
        """Whether the group has to rebalance, because of the topics found now."""
        changes = self.changes(found)
        self._others = frozenset(topic for topic, change in changes.items() if change != "resized")
        for topic, change in changes.items():
            self._note(topic, change)
        for topic in set(self.since) - set(changes):
            if self._known and topic in self._known:
                del self.since[topic]
        anew = [
            topic for topic, change in changes.items() if change != "gone" or topic in (self._known or {})
        ]
        if not anew or self._now() - self._asked_at < ASK_AGAIN:
            return False
        self._asked_at = self._now()
        return True

    def changes(self, found: Mapping[str, Described] | None) -> dict[str, Change]:
        """The topics differing from the topics of the positions. A topic gone when positions were taken is
        gone.
        """
        if found is None or self._known is None:
            return {}
        compared = {topic: change_of(self._known.get(topic), found.get(topic)) for topic in self._topics}
        return {topic: change for topic, change in compared.items() if change is not None}

    @property
    def tells(self) -> bool:
        """Whether the existing topics are known."""
        return self._known is not None

    def holds(self, topic: str) -> bool:
        """Whether the topic is still the topic of its positions, as far as known.

        The topic may have grown.
        """
        return topic not in self._others

    def token(self, topic: str) -> str:
        """The text committed beside an offset, to tell later which topic the offset belongs to."""
        known = (self._known or {}).get(topic)
        return text_of(known.id) if known and known.id else ""

    def count(self, topic: str) -> int:
        """How many partitions the topic had when positions were taken; 0 for an absent topic."""
        known = (self._known or {}).get(topic)
        return known.partitions if known else 0

    def ids(self) -> dict[str, bytes]:
        """The ids of the topics with an id."""
        return {topic: found.id for topic, found in (self._known or {}).items() if found.id}

    def away(self) -> dict[str, float]:
        """For how long each topic has differed from the topic of its positions, in seconds. Callable from any
        thread.
        """
        since = self.since.copy()
        return {topic: self._now() - since[topic] if topic in since else 0.0 for topic in self._topics}

    async def changed(self) -> None:
        """Return when the next change is noticed."""
        if self._next is None or self._next.is_set():
            self._next = asyncio.Event()
        await self._next.wait()

    def _note(self, topic: str, change: Change) -> None:
        if topic not in self.since:
            self.since[topic] = self._now()
        elif self._last[topic] == change:
            return
        self._last[topic] = change
        self.happened[topic, change] += 1
        log.warning(_REPORTED[change], topic)
        if self._next is not None:
            self._next.set()


__all__ = ["Change", "TopicWatch", "change_of"]

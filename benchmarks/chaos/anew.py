"""A topic is deleted once everybody has read it, and made again.

Its offsets begin anew, its records are others.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from aiokafka.errors import KafkaError

from benchmarks.chaos.journal import INPUTS, Entry, read_back
from benchmarks.chaos.sending import Load
from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.kafka.groups import group_states

#: Which topics it happens to, and who has to have read them.
TOPICS = ("outcomes", "waits", "runs")
_READERS = {"outcomes": ("correlate", "store"), "waits": ("correlate", "store"), "runs": ("store",)}
#: Seconds.
_DRAINED_WITHIN, _LOOK, _TRY_AGAIN = 60.0, 0.5, 0.5
#: What lay in the n-th topic of a name has n times this on its offset: so places stay unique.
APART = 10**9


class Anew:
    """Does it, and keeps what lay in the topics before, for the oracle: nobody else can read it any more."""

    def __init__(self, settings: Settings, load: Load, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._load = load
        self._report = report
        self._before: list[Entry] = []
        #: When each topic was deleted, in seconds since 1970.
        self.cuts: dict[str, list[float]] = defaultdict(list)

    async def delete(self, topic: str) -> bool:
        """Hold the load back, wait until all of the topic is read, and delete it; whether that came about.

        Where it did, `make` has to follow.
        """
        await self._load.hold(_DRAINED_WITHIN)
        try:
            async with asyncio.timeout(_DRAINED_WITHIN):
                while self._load.pending or not await self._is_read(topic):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK)
                found = [self.placed(entry) async for entry in read_back(self._settings, [topic])]
                async with admin_client(self._settings) as admin:
                    await admin.delete_topics([self._settings.topic(topic)])
        except (TimeoutError, KafkaError, KafkaUnavailable) as error:
            self._report(f"{topic} stays: {error or type(error).__name__}")
            self._load.go_on()
            return False
        self._before += found
        self.cuts[topic].append(time.time())
        return True

    async def make(self, seconds: float) -> None:
        """Make again what is missing, after so many seconds, if no worker has; then the load goes on."""
        await asyncio.sleep(seconds)
        while True:
            with suppress(KafkaError, KafkaUnavailable):
                await ensure_topics(self._settings)
                break
            await asyncio.sleep(_TRY_AGAIN)
        self._load.go_on()

    async def _is_read(self, topic: str) -> bool:
        readers = {self._settings.app_id(role): [self._settings.topic(topic)] for role in _READERS[topic]}
        groups = await group_states(self._settings, readers)
        return all(group.is_live and not group.missing and not group.total_lag for group in groups)

    async def entries(self) -> AsyncIterator[Entry]:
        """All that was ever written."""
        for entry in self._before:
            yield entry
        async for entry in read_back(self._settings, INPUTS):
            yield self.placed(entry)

    def placed(self, entry: Entry) -> Entry:
        """The record of a topic that there is now, where no other record ever lay."""
        return entry._replace(offset=entry.offset + APART * len(self.cuts.get(entry.topic, ())))


def placed_at(cuts: Mapping[str, Sequence[float]], topic: str, offset: int, written: float) -> int:
    """The same of a record that is known by when it was written, in seconds since 1970."""
    return offset + APART * sum(cut <= written for cut in cuts.get(topic, ()))


def topic_for(variant: int, topics: Iterable[str] = TOPICS) -> str:
    """Which one it happens to."""
    chosen = list(topics)
    return chosen[variant % len(chosen)]


__all__ = ["APART", "TOPICS", "Anew", "placed_at", "topic_for"]

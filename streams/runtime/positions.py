"""Where reading goes on, and in which topics: taken, committed, lost, and taken anew where a topic is
another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from upshot.errors import KafkaUnavailable
from upshot.streams.events.handler import TP, Unsettled
from upshot.streams.kafka.fetch import install_fast_records
from upshot.streams.kafka.fetch_by_id import Fetching
from upshot.streams.kafka.offset_metadata import OffsetMetadata, read_metadata
from upshot.streams.kafka.topic_ids import describe

log = logging.getLogger(__name__)

#: Seconds between two looks at which topics there are.
TOPICS_EVERY = 1.0
#: A sign of life that takes longer than this is given up.
SIGN_WITHIN = 5.0


class Start(NamedTuple):
    """Where reading begins, and the notes found there of these topics,
    not of earlier topics of their names.
    """

    positions: Mapping[TP, int]
    notes: Mapping[TP, str]


class Positions:
    """Lives in the consumer's thread. Nothing is fetched from `hold_back` until `take` has said where to
    begin.
    """

    def __init__(self, app: Any, consumer: AIOKafkaConsumer) -> None:
        self._app = app
        self._watch = app.watch
        self._consumer = consumer
        self._doubted = asyncio.Event()
        self._fetching = Fetching(lambda topic: self._doubted.set())
        #: Where each partition stood at the last poll.
        self._stood: Mapping[TP, int] = {}
        self.hold_back()
        install_fast_records(consumer._fetcher, self._fetching, self._made)

    def hold_back(self) -> None:
        """Fetch nothing: partitions go, and come anew."""
        self._fetching.ids, self._fetching.by_name = None, False

    def _made(self, topic: str) -> str:
        made: str = self._app.incarnations.of((self._fetching.ids or {}).get(topic))
        return made

    async def look_at_topics(self) -> None:
        """The existing topics; waits for the next look, which comes at once where a broker refuses a topic as
        another.
        """
        self._doubted.clear()
        with suppress(KafkaError, KafkaUnavailable, TimeoutError):  # the next look may find them
            client = self._consumer._client
            if self._watch.look(await describe(client, self._app.inputs)):
                await client.force_metadata_update()
                self._consumer._coordinator.request_rejoin()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._doubted.wait(), TOPICS_EVERY)
            await asyncio.sleep(TOPICS_EVERY / 10)

    def reached(self, positions: Mapping[TP, int]) -> None:
        """A poll has reached these. Logs records removed before being read: aiokafka goes on silently."""
        for tp in self._fetching.out_of_range & set(positions):
            self._fetching.out_of_range.discard(tp)
            lost = positions[tp] - self._stood.get(tp, positions[tp])
            if lost > 0:
                self._app.engine_metrics.lost[tp.topic] += lost
                log.error(
                    "%d records of %s/%d were removed before they were read, from offset %d on: give the "
                    "topic a longer retention; what they said has to be sent again",
                    lost,
                    *tp,
                    positions[tp] - lost,
                )
        self._stood = positions

    async def take(self, tps: Iterable[TP]) -> Start:
        """Go to the committed offsets, or to the beginning, and return them.

        A topic already gone has none.
        """
        consumer, watch = self._consumer, self._watch
        found = await describe(consumer._client, self._app.inputs)
        watch.settle(found)
        wanted = {TopicPartition(*tp) for tp in tps if found is None or tp.partition < watch.count(tp.topic)}
        committed = await consumer._coordinator.fetch_committed_offsets(list(wanted))
        fresh, notes = [], {}
        for tp in wanted:
            at = committed.get(tp, OffsetAndMetadata(-1, ""))
            metadata = read_metadata(at.metadata)
            if at.offset >= 0 and metadata.is_of(watch.token(tp.topic)):
                consumer.seek(tp, at.offset)
                notes[TP(*tp)] = metadata.note
            else:
                fresh.append(tp)
        if fresh:
            await consumer.seek_to_beginning(*fresh)
        positions = {TP(*tp): await consumer.position(tp) for tp in wanted}
        self._stood = positions.copy()
        self._fetching.ids = watch.ids()
        self._fetching.by_name = found is None or any(topic.id is None for topic in found.values())
        return Start(positions, notes)

    async def commit(self, positions: Mapping[TP, int], notes: Mapping[TP, str]) -> bool:
        """Commit, with each offset's topic, and its note or none; False when the group has moved on, or a
        topic changes meanwhile.

        Offsets of a topic gone, or made again by now, are left out: aiokafka would try for ever.
        """
        offsets = {
            TopicPartition(*tp): OffsetAndMetadata(
                offset, str(OffsetMetadata(self._watch.token(tp.topic), note=notes.get(tp, "")))
            )
            for tp, offset in positions.items()
            if self._watch.holds(tp.topic)
        }
        if not offsets:
            return True
        commit = asyncio.ensure_future(self._consumer.commit(offsets))
        try:
            return await self._unless_topics_change(commit)
        except (CommitFailedError, IllegalStateError) as error:
            log.debug("not committed: %s", error)
            return False

    async def settled_ends(
        self, tps: Iterable[TP], ends_of: Callable[[Iterable[TP]], Awaitable[dict[TP, int]]]
    ) -> dict[TP, int]:
        """Where partitions end. Raises Unsettled where a topic isn't the topic of the positions."""
        ends = asyncio.ensure_future(ends_of(tps))
        answered = await self._unless_topics_change(ends)
        # Asked after the ends: what is the same now was the same when they were told.
        found = await describe(self._consumer._client, self._app.inputs)
        if not answered or self._watch.changes(found):
            raise Unsettled
        return ends.result()

    async def _unless_topics_change(self, work: asyncio.Future[Any]) -> bool:
        """Whether `work` was done before a topic is seen to change; else the work is given up. Raises the
        errors of `work`.
        """
        change = asyncio.ensure_future(self._watch.changed())
        try:
            await asyncio.wait({work, change}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            return work.done()
        finally:
            work.cancel()
            change.cancel()

    async def sign(self, text: str) -> None:
        """Commit the committed offsets once more, with a sign of life beside them. Notes stay."""
        inputs = [tp for tp in self._consumer.assignment() if tp.topic in self._app.inputs]
        with suppress(KafkaError, IllegalStateError, TimeoutError):  # the next one may get through
            committed = await self._consumer._coordinator.fetch_committed_offsets(inputs)
            signed = {
                tp: OffsetAndMetadata(at.offset, str(read_metadata(at.metadata)._replace(sign=text)))
                for tp, at in committed.items()
                if at.offset >= 0
            }
            if signed:
                await asyncio.wait_for(self._consumer.commit(signed), SIGN_WITHIN)


__all__ = ["Positions", "Start"]

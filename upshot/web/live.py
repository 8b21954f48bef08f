"""`/live`: one stream of news for every open page, read from Kafka without a group, at most once a second."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from upshot.errors import KafkaUnavailable
from upshot.plain_text import plain
from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options, started
from upshot.web.formats import duration, score_value, seconds_between
from upshot.web.site import PageRequest

#: Topics whose records are counted, scores among them, which are read as well.
COUNTED = ("scores", "runs", "waits", "outcomes", "dead-letters")
#: Scores of one piece of news; of more in a second, the last ones.
_SCORES = 20
#: Pieces of news kept for streams that come back with the id of their last one.
_BACKLOG = 60
_EVERY = 1.0
_POLL_MS = 200
_RETRY = 3.0
#: Seconds of silence after which a line shows that the stream lives.
_SILENCE = 15.0
#: Seconds for which the reader goes on without a listener.
_LINGER = 30.0
_TEXT = 300
MAX_STREAMS = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveNews:
    """What came since the news before. `ident`: the offsets after the news."""

    ident: str
    text: str


class Live:
    """One reader for all streams of a server; begins with the first stream and ends after the last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backlog: deque[LiveNews] = deque(maxlen=_BACKLOG)
        self._changed = asyncio.Condition()
        self._sent = 0
        self._streams = 0
        self._reader: asyncio.Task[None] | None = None

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Ends the reader with the app."""
        yield
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def page(self, asked: PageRequest) -> web.StreamResponse:
        """The stream of one browser."""
        if self._streams >= MAX_STREAMS:
            return web.Response(status=503, headers={"Retry-After": "30"}, text="too many open streams\n")
        request = asked.request
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        self._streams += 1
        self._begin()
        try:
            await response.write(b"retry: 3000\n\n")
            await self._follow(request, response)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._streams -= 1
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse) -> None:
        sent = self._after(request.headers.get("Last-Event-ID", ""))
        while request.transport is not None and not request.transport.is_closing():
            news, sent = self._since(sent), self._sent
            for one in news:
                await response.write(f"event: news\nid: {one.ident}\ndata: {one.text}\n\n".encode())
            if not await self._changes(sent):
                await response.write(b": still here\n\n")

    async def _changes(self, sent: int) -> bool:
        """Whether there is news after so many pieces, within a while."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: self._sent > sent), _SILENCE)
            except TimeoutError:
                return False
        return True

    def _after(self, ident: str) -> int:
        """The count of news up to an id; the present one where the id is unknown."""
        for place, one in enumerate(self._backlog):
            if one.ident == ident:
                return self._sent - len(self._backlog) + place + 1
        return self._sent

    def _since(self, sent: int) -> list[LiveNews]:
        missed = min(self._sent - sent, len(self._backlog))
        return list(self._backlog)[len(self._backlog) - missed :] if missed else []

    def _begin(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            try:
                async with started(self._settings, _consumer(self._settings)) as consumer:
                    await self._read_on(consumer)
                    return
            except (KafkaUnavailable, KafkaError, OSError) as error:
                _log.info("live news wait for Kafka: %s", error)
                await asyncio.sleep(_RETRY)

    async def _read_on(self, consumer: AIOKafkaConsumer) -> None:
        """Read until nobody has listened for a while."""
        topics = {self._settings.topic(name): name for name in COUNTED}
        places = sorted(consumer.assignment())
        if others := [place for place in places if topics[place.topic] != "scores"]:
            consumer.pause(*others)
        if places:
            await consumer.seek_to_end(*places)
        ends = await consumer.end_offsets(places) if places else {}
        last_sent, alone_since = 0.0, monotonic()
        found: list[dict[str, Any]] = []
        while True:
            now = monotonic()
            alone_since = now if self._streams else alone_since
            if now - alone_since > _LINGER:
                return
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=2_000)
            for records in batches.values():
                found += [score for record in records[-_SCORES:] if (score := score_news(record.value))]
            if monotonic() - last_sent < _EVERY:
                await asyncio.sleep(0.05)
                continue
            fresh = await consumer.end_offsets(places) if places else {}
            counts = _counts(topics, ends, fresh)
            if found or any(counts.values()):
                await self._tell(fresh, counts, found[-_SCORES:])
                last_sent = monotonic()
            ends, found = fresh, []

    async def _tell(
        self, ends: Mapping[TopicPartition, int], counts: Mapping[str, int], scores: Sequence[dict[str, Any]]
    ) -> None:
        ident = "-".join(
            f"{sum(end for tp, end in ends.items() if tp.topic == topic)}"
            for topic in sorted({tp.topic for tp in ends})
        )
        text = json.dumps({"counts": counts, "scores": scores}, ensure_ascii=True)
        async with self._changed:
            self._backlog.append(LiveNews(ident, text))
            self._sent += 1
            self._changed.notify_all()


def _consumer(settings: Settings) -> AIOKafkaConsumer:
    """Reads every partition of the topics, of no group: no offset is committed."""
    return AIOKafkaConsumer(
        *(settings.topic(name) for name in COUNTED),
        **client_options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        fetch_max_wait_ms=100,
    )


def _counts(
    topics: Mapping[str, str], before: Mapping[TopicPartition, int], after: Mapping[TopicPartition, int]
) -> dict[str, int]:
    counts = dict.fromkeys(topics.values(), 0)
    for tp, end in after.items():
        counts[topics[tp.topic]] += max(0, end - before.get(tp, end))
    return counts


def score_news(value: bytes | None) -> dict[str, Any] | None:
    """A score's record as the page shows it; None for a record without a value to show."""
    try:
        event = json.loads(value or b"null")
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("name"), str):
        return None
    score = event.get("value")
    if isinstance(score, bool):
        shown = "true" if score else "false"
    elif isinstance(score, int | float):
        shown = score_value({"value": score, "kind": "number"})
    else:
        return None
    return {
        **{name: _plain(event.get(name)) for name in ("name", "run_id", "agent", "subject", "reason")},
        "shown": shown,
        "latency": _latency(event),
    }


def _latency(event: Mapping[str, Any]) -> str:
    try:
        seconds = seconds_between(_naive(event.get("occurred_at")), _naive(event.get("decided_at")))
    except (ValueError, TypeError):
        return ""
    return "" if seconds is None else duration(seconds)


def _naive(text: object) -> str | None:
    return str(text).removesuffix("Z").partition("+")[0] if text else None


def _plain(text: object) -> str | None:
    return plain(str(text)[:_TEXT]) if text else None


__all__ = ["COUNTED", "MAX_STREAMS", "Live", "LiveNews", "score_news"]

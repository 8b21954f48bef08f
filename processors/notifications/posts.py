"""Posts under way, beside the processing loop: a queue for each receiver, so that none holds up another."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from upshot.backoff import pause_after
from upshot.receivers.messages import AlertMessage
from upshot.receivers.results import Accepted, Failed, PostResult
from upshot.streams.events.instants import Micros

log = logging.getLogger(__name__)

#: After so many failures in a row a receiver gets one post at a time, and pauses between them.
_AWAY_AFTER = 3
_FIRST_PAUSE: Micros = 5_000_000
_LONGEST_PAUSE: Micros = 60_000_000
_SOONEST, _LATEST = 0.01, 0.25


class PostJob(NamedTuple):
    """A message to post for a table's key."""

    partition: int
    key: bytes
    receiver: str
    message: AlertMessage


class PostEnded(NamedTuple):
    """A job's result."""

    job: PostJob
    result: PostResult


Post = Callable[[str, AlertMessage], Awaitable[PostResult]]


class Outside(Protocol):
    """Receivers and rules of alerts. `start` and `stop` are called as partitions come and go."""

    async def post(self, receiver: str, message: AlertMessage) -> PostResult:
        """Post a message once."""

    def muted(self, rule: str, now: Micros) -> str:
        """Why a rule notifies nobody now; empty where it does."""

    async def start(self) -> None:
        """Know the rules."""

    async def stop(self) -> None:
        """End all connections."""


class Channel:
    """The queue of one receiver, and how the receiver fares."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.queue: deque[PostJob] = deque()
        self.running = 0
        self.failures = 0
        self.not_before: Micros = 0
        self.last_error = ""
        #: Whether it has taken nothing since the start.
        self.untried = True

    def has_room(self) -> bool:
        """Whether a further post may begin."""
        return self.running < (1 if self.failures >= _AWAY_AFTER else self.width)

    def note(self, result: PostResult, now: Micros) -> bool:
        """Take down a result; whether the receiver has come back, or took its first message."""
        if isinstance(result, Failed):
            self.failures += 1
            self.last_error = result.error
            away = self.failures >= _AWAY_AFTER
            pause = pause_after(self.failures - _AWAY_AFTER, _FIRST_PAUSE, _LONGEST_PAUSE) if away else 0
            self.not_before = now + max(pause, int((result.after or 0) * 1_000_000))
            return False
        back = isinstance(result, Accepted) and (self.untried or self.failures > 0)
        self.untried = self.untried and not isinstance(result, Accepted)
        self.failures, self.not_before = 0, 0
        return back


class Posts:
    """Runs posts, at most one of a key, until their results are taken."""

    def __init__(self, post: Post, width_of: Callable[[str], int], now: Callable[[], Micros]) -> None:
        self._post = post
        self._width_of = width_of
        self._now = now
        self._channels: dict[str, Channel] = {}
        self._known: set[tuple[int, bytes]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[PostEnded] = []
        self._back: set[str] = set()
        #: By receiver and result.
        self.counts: Counter[tuple[str, str]] = Counter()

    def __contains__(self, place: tuple[int, bytes]) -> bool:
        return place in self._known

    def submit(self, job: PostJob) -> None:
        """Post when it is the job's turn at its receiver."""
        self._known.add((job.partition, job.key))
        if job.receiver not in self._channels:
            self._channels[job.receiver] = Channel(self._width_of(job.receiver))
        channel = self._channels[job.receiver]
        channel.queue.append(job)
        self._begin(channel)

    def ended(self) -> list[PostEnded]:
        """The results since the last call; their keys may be posted again."""
        found, self._ended = self._ended, []
        self._known.difference_update((one.job.partition, one.job.key) for one in found)
        return found

    def back(self) -> set[str]:
        """The receivers that came back since the last call."""
        found, self._back = self._back, set()
        return found

    def waiting(self) -> dict[str, int]:
        """The number of posts queued or under way, by receiver. Callable from any thread."""
        return {name: len(one.queue) + one.running for name, one in list(self._channels.items())}

    def failing(self) -> dict[str, int]:
        """Failures in a row, by receiver. Callable from any thread."""
        return {name: channel.failures for name, channel in list(self._channels.items())}

    def patience(self) -> float | None:
        """Seconds until the next look for results; None where nothing is under way."""
        if self._ended:
            return _SOONEST
        return (_SOONEST if len(self._tasks) > 0 else _LATEST) if self._known else None

    def forget(self) -> None:
        """The posts belong to another worker now: cut off those under way."""
        for task in self._tasks:
            task.cancel()
        self._channels, self._known, self._ended, self._back = {}, set(), [], set()

    def _begin(self, channel: Channel) -> None:
        while channel.queue and channel.has_room():
            job, now = channel.queue.popleft(), self._now()
            if now < channel.not_before:
                self._end(job, _not_tried(channel, now))
                continue
            channel.running += 1
            task = asyncio.create_task(self._run(channel, job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, channel: Channel, job: PostJob) -> None:
        try:
            result = await self._post(job.receiver, job.message)
        except Exception as error:
            log.exception("a notice of %s could not be made", job.receiver)
            result = Failed(f"could not be called: {type(error).__name__}, see the log of the worker")
        channel.running -= 1
        failed_before = channel.failures
        if channel.note(result, self._now()):
            self._back.add(job.receiver)
        self._tell(job.receiver, channel, failed_before)
        self._end(job, result)
        self._begin(channel)

    def _end(self, job: PostJob, result: PostResult) -> None:
        self.counts[job.receiver, type(result).__name__.lower()] += 1
        self._ended.append(PostEnded(job, result))

    def _tell(self, receiver: str, channel: Channel, failed_before: int) -> None:
        if channel.failures == 1 and not failed_before:
            log.warning("the receiver %s %s; its notices are tried again", receiver, channel.last_error)
        elif failed_before and not channel.failures:
            log.info("the receiver %s takes notices again", receiver)


def _not_tried(channel: Channel, now: Micros) -> Failed:
    seconds = (channel.not_before - now) / 1e6
    return Failed(f"was not tried, since it failed just before: {channel.last_error}", after=seconds)


__all__ = ["Channel", "Outside", "Post", "PostEnded", "PostJob", "Posts"]

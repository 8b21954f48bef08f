"""The role by itself, with a clock of its own, and receivers that answer as they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.receivers.made import SECRET, configured
from tests.room import MemoryRoom
from upshot.processors.notifications.handler import Notifications
from upshot.receivers.configured import Receivers
from upshot.receivers.messages import AlertMessage
from upshot.receivers.results import Accepted, Failed, PostResult
from upshot.settings import Settings
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.runtime import Output

SETTINGS = Settings()
NOON = 1_767_268_800_000_000
SECOND = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
DAY = 24 * HOUR

Answer = PostResult | Callable[[AlertMessage], PostResult]


def hook(**more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "url": "http://127.0.0.1:9/hook", "secret": SECRET, **more}


OPS = configured(ops=hook(), other=hook(), am={"kind": "alertmanager", "url": "http://127.0.0.1:9"})


class Bench:
    """A role and its receivers. `posted` has every post: the receiver and the message."""

    def __init__(self, room: MemoryRoom | None = None, receivers: Receivers = OPS, now: int = NOON) -> None:
        self.now = now
        self.room = room or MemoryRoom()
        self.answers: dict[str, Answer] = {}
        self.posted: list[tuple[str, AlertMessage]] = []
        self.held: asyncio.Event | None = None
        self.mutes: dict[str, str] = {}
        self.role = Notifications(
            self.room,
            SETTINGS,
            receivers,
            self,
            lambda: self.now,
        )
        self.offset = 0

    async def begin(self) -> Bench:
        await self.room.begin(self.role)
        return self

    def muted(self, rule: str, now: int) -> str:
        return self.mutes.get(rule, "")

    async def post(self, receiver: str, message: AlertMessage) -> PostResult:
        self.posted.append((receiver, message))
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.get(receiver, Accepted(200))
        return answer(message) if callable(answer) else answer

    async def start(self) -> None:
        """Nothing is connected."""

    async def stop(self) -> None:
        """Nothing is connected."""

    async def goes_on(self, *records: Fetched, after: int = 0) -> list[dict[str, Any]]:
        """Time passes, records come, and all that follows now: the notices written."""
        self.now += after
        outputs = await self.settle(await self.room.process(self.role, *records))
        return of(outputs, "notices")

    async def settle(self, outputs: Sequence[Output] = ()) -> list[Output]:
        """Turns, until nothing is left to be done now. Requests come back as records."""
        written = list(outputs)
        fresh = written
        for _ in range(10_000):
            requests = [self._back(o) for o in fresh if o.topic == "upshot.notice-requests"]
            before = len(self.posted)
            fresh = await self.room.process(self.role, *requests)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            written += fresh
            busy = self.role.posts.patience() is not None and self.held is None
            if not fresh and not requests and not busy and len(self.posted) == before:
                return written
        raise AssertionError("it never settles")

    def _back(self, output: Output) -> Fetched:
        self.offset += 1
        key = output.key or b""
        return Fetched(
            output.topic, partition_for(key, 2), self.offset, self.now // 1000, key, output.value or b"", ()
        )

    def alert(self, number: int = 1, **fields: Any) -> Fetched:
        """A record of an alert's state, raised now."""
        self.offset += 1
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.now)
        event = {
            "alert_id": f"a{number}",
            "name": "reopened",
            "run_id": "r1",
            "score_id": f"s{number}",
            "value": False,
            "raised_at": at.isoformat(),
            "notify": ["ops"],
            **fields,
        }
        key = event["alert_id"].encode()
        value = json.dumps(event).encode()
        return Fetched("upshot.alerts", partition_for(key, 2), self.offset, self.now // 1000, key, value, ())

    def resolved(self, number: int = 1, revision: int = 2, **fields: Any) -> Fetched:
        return self.alert(number, state="resolved", revision=revision, **fields)

    def retry(self, notice_id: str, number: int = 1, **fields: Any) -> Fetched:
        """A request to try a failed notice of `ops` again."""
        alert = self.alert(number, **fields)
        value = b'{"receiver":"ops","retry":%b,"alert":%b}' % (
            json.dumps(notice_id).encode(),
            alert.value or b"",
        )
        self.offset += 1
        topic, place = "upshot.notice-requests", partition_for(b"ops", 2)
        return Fetched(topic, place, self.offset, self.now // 1000, b"ops", value, ())

    @property
    def ids(self) -> list[str]:
        return [message.notice_id for _, message in self.posted]

    @property
    def states(self) -> list[tuple[str, str]]:
        """Alert and state of every post."""
        return [(message.first.alert_id, message.first.state) for _, message in self.posted]


def of(outputs: Sequence[Output], topic: str) -> list[dict[str, Any]]:
    return [json.loads(o.value or b"") for o in outputs if o.topic == f"upshot.{topic}"]


def statuses(notices: Sequence[dict[str, Any]]) -> list[str]:
    return [notice["status"] for notice in notices]


AWAY = Failed("is not reached: nobody listens")

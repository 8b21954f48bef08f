"""Any history: states in any order and again, receivers that fail, crashes anywhere.

In the end each receiver has the latest state, each notice has come under one id, and no state was sent
twice in a row under two ids.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notifications.bench import AWAY, DAY, HOUR, NOON, SECOND, Bench
from tests.room import MemoryRoom
from upshot.receivers.messages import AlertMessage
from upshot.receivers.results import Accepted, Failed, PostResult
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import TP

#: By alert and revision: the alternation that rules emit, and one that stays.
STATES = {0: "firing", 1: "resolved", 2: "firing", 3: "firing", 4: "resolved"}
SHAPES: list[dict[str, Any]] = [
    {},
    {"digest_seconds": 60.0},
    {"cooldown_seconds": 60.0, "group": {"customer": "acme"}},
    {"digest_seconds": 60.0, "cooldown_seconds": 600.0},
]
ACTIONS = st.one_of(
    st.tuples(st.just("state"), st.integers(0, 3), st.integers(0, 4)),
    st.tuples(st.just("again"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("time"), st.sampled_from([1, 6, 61, 330, 4_000]), st.just(0)),
    st.tuples(st.just("answers"), st.sampled_from(["up", "away", "uncertain", "lost"]), st.just(0)),
    st.tuples(st.just("crash"), st.sampled_from(["at rest", "stored", "posted"]), st.integers(0, 4)),
)


class History:
    """A worker that crashes and comes back, and what its receivers have received."""

    def __init__(self, shape: dict[str, Any]) -> None:
        self.shape = shape
        self.room = MemoryRoom()
        self.answer = "up"
        self.sent: list[tuple[int, int]] = []
        #: By receiver, each notice as it came first, and all contents by id.
        self.received: dict[str, list[AlertMessage]] = defaultdict(list)
        self.contents: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
        self.bench = Bench(self.room)

    async def begin(self, now: int) -> None:
        self.bench = Bench(self.room, now=now)
        self.bench.answers = {
            "ops": lambda m: self._answer("ops", m),
            "other": lambda m: self._answer("other", m),
        }
        await self.bench.begin()

    def _answer(self, receiver: str, message: AlertMessage) -> PostResult:
        self.contents[message.notice_id].add(
            (receiver, message.kind, tuple((a.alert_id, a.state) for a in message.alerts))
        )
        if self.answer == "away":
            return AWAY
        if self.answer != "uncertain":
            self._take(receiver, message)
        lost = self.answer in ("uncertain", "lost")
        return Failed("did not answer in time", uncertain=True) if lost else Accepted(200)

    def _take(self, receiver: str, message: AlertMessage) -> None:
        if message.notice_id not in {one.notice_id for one in self.received[receiver]}:
            self.received[receiver].append(message)

    def record(self, number: int, revision: int) -> Fetched:
        return self.bench.alert(
            number, revision=revision, state=STATES[revision], notify=["ops", "other"], **self.shape
        )

    async def act(self, action: tuple[str, Any, Any]) -> None:
        kind, first, second = action
        match kind:
            case "state":
                self.sent.append((first, second))
                await self.bench.goes_on(self.record(first, second))
            case "again" if self.sent:
                await self.bench.goes_on(self.record(*self.sent[first % len(self.sent)]))
            case "time":
                await self.bench.goes_on(after=first * SECOND)
            case "answers":
                self.answer = first
            case "crash":
                await self.crash(first, second)

    async def crash(self, where: str, revision: int) -> None:
        now = self.bench.now
        if where != "at rest":
            self.sent.append((0, revision))
            requests = await self._requests(self.record(0, revision))
            batches: dict[TP, list[Fetched]] = defaultdict(list)
            for request in requests:
                batches[TP(request.topic, request.partition)].append(request)
            self.room._carry_out(await self.bench.role.process(batches))
            if where == "posted":
                await self._post_without_marking()
        await self.bench.role.revoked(frozenset())
        await self.begin(now)

    async def _post_without_marking(self) -> None:
        self.bench.held = asyncio.Event()
        before = len(self.bench.posted)
        for _ in range(4):
            self.room._carry_out(await self.bench.role.tick())
            await asyncio.sleep(0)
        for receiver, message in self.bench.posted[before:] if self.answer != "away" else ():
            self._take(receiver, message)

    async def _requests(self, record: Fetched) -> list[Fetched]:
        outputs = await self.bench.room.process(self.bench.role, record)
        return [self.bench._back(o) for o in outputs if o.topic == "upshot.notice-requests"]


async def _play(shape: dict[str, Any], actions: list[tuple[str, Any, Any]]) -> History:
    history = History(shape)
    await history.begin(NOON)
    for action in actions:
        await history.act(action)
    history.answer = "up"
    for number, revision in history.sent:
        await history.bench.goes_on(history.record(number, revision))
    for pause in (SECOND, 600 * SECOND, HOUR, DAY, DAY, DAY, DAY):
        await history.bench.goes_on(after=pause)
    return history


@given(st.sampled_from(SHAPES), st.lists(ACTIONS, max_size=25))
@settings(max_examples=int(os.environ.get("HISTORIES", "150")), deadline=None)
def test_any_history_ends_in_the_latest_states(
    shape: dict[str, Any], actions: list[tuple[str, Any, Any]]
) -> None:
    history = asyncio.run(_play(shape, actions))
    latest = {number: max(r for n, r in history.sent if n == number) for number, _ in history.sent}
    for receiver in ("ops", "other"):
        states: dict[str, list[str]] = defaultdict(list)
        for message in history.received[receiver]:
            for alert in message.alerts:
                states[alert.alert_id].append(alert.state)
        for number, revision in latest.items():
            seen = states[f"a{number}"]
            if STATES[revision] == "firing":
                assert seen and seen[-1] == "firing"
            else:
                assert not seen or seen[-1] == "resolved"
    for contents in history.contents.values():
        assert len(contents) == 1


def _without_loss(action: tuple[str, Any, Any]) -> bool:
    return action[0] not in ("answers", "crash") or action[1] in ("up", "away", "at rest")


@given(st.sampled_from(SHAPES), st.lists(ACTIONS.filter(_without_loss), max_size=25))
@settings(max_examples=int(os.environ.get("HISTORIES", "100")), deadline=None)
def test_no_state_is_sent_twice_in_a_row(shape: dict[str, Any], actions: list[tuple[str, Any, Any]]) -> None:
    history = asyncio.run(_play(shape, actions))
    for received in history.received.values():
        states: dict[str, list[str]] = defaultdict(list)
        for message in received:
            for alert in message.alerts:
                states[alert.alert_id].append(alert.state)
        for seen in states.values():
            assert seen[0] == "firing"
            assert all(before != after for before, after in pairwise(seen))

"""The role by itself: what is posted, under which id, and what is stored about it."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.notifications.bench import (
    AWAY,
    DAY,
    MINUTE,
    SECOND,
    Bench,
    hook,
    of,
    statuses,
)
from tests.receivers.made import configured
from upshot.receivers.messages import AlertMessage
from upshot.receivers.requests import webhook_body
from upshot.receivers.results import Accepted, Failed, PostResult, Rejected, SwitchedOff
from upshot.schemas.ids import fact_id
from upshot.schemas.notices import Notice


async def test_an_alert_becomes_one_notice_for_each_receiver() -> None:
    bench = await Bench().begin()
    notices = await bench.goes_on(bench.alert(notify=["ops", "other", "ops"]))
    assert sorted(receiver for receiver, _ in bench.posted) == ["ops", "other"]
    assert set(bench.ids) == {fact_id("notice", "a1", "firing", name) for name in ("ops", "other")}
    assert sorted(statuses(notices)) == ["pending", "pending", "sent", "sent"]
    for notice in notices:
        Notice.model_validate(notice)


async def test_a_repeated_or_older_state_changes_nothing() -> None:
    bench = await Bench().begin()
    first, second = bench.alert(revision=1), bench.resolved(revision=2)
    await bench.goes_on(first, second, first)
    assert await bench.goes_on(first, second) == []
    assert await bench.goes_on(bench.alert(revision=2)) == []


async def test_an_alert_without_receivers_and_a_silent_one_are_recorded_only() -> None:
    bench = await Bench().begin()
    silent = {"silent": "older than max_age"}
    assert await bench.goes_on(bench.alert(notify=[]), bench.alert(2, **silent)) == []
    assert await bench.goes_on(bench.resolved(2, **silent)) == []
    assert bench.room.table.size(0) + bench.room.table.size(1) == 0
    assert await bench.goes_on(bench.resolved(2, revision=3)) == []
    assert bench.posted == []


async def test_a_state_that_comes_back_is_a_notice_of_its_own() -> None:
    bench = await Bench().begin()
    for record in (bench.alert(), bench.resolved(), bench.alert(revision=3), bench.resolved(revision=4)):
        await bench.goes_on(record)
    assert [state for _, state in bench.states] == ["firing", "resolved", "firing", "resolved"]
    assert len(set(bench.ids)) == 4
    assert bench.ids[2] == fact_id("notice", "a1", "firing", "ops", "3")


async def test_firing_and_resolved_cancel_out_before_the_first_is_sent() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = AWAY
    await bench.goes_on(bench.alert())
    dropped = await bench.goes_on(bench.resolved())
    assert statuses(dropped) == ["dropped"]
    assert dropped[0]["error"] == "the alert changed its state"
    bench.answers.clear()
    assert await bench.goes_on(after=DAY) == []
    assert len(bench.posted) == 1


async def test_a_notice_that_was_perhaps_received_is_followed_by_the_next_state() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = Failed("did not answer in time", uncertain=True)
    await bench.goes_on(bench.alert())
    bench.answers.clear()
    assert statuses(await bench.goes_on(bench.resolved())) == ["dropped", "pending", "sent"]
    assert bench.states == [("a1", "firing"), ("a1", "resolved")]


async def test_states_of_one_alert_are_posted_in_order() -> None:
    bench = await Bench().begin()
    bench.held = asyncio.Event()
    await bench.goes_on(bench.alert())
    await bench.goes_on(bench.resolved())
    assert bench.states == [("a1", "firing")]
    held, bench.held = bench.held, None
    held.set()
    await bench.goes_on()
    assert bench.states == [("a1", "firing"), ("a1", "resolved")]


async def test_tries_follow_their_schedule_and_end_in_a_dead_letter() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = Rejected("answered 400: bad", 400)
    assert statuses(await bench.goes_on(bench.alert())) == ["pending", "failed"]
    bench.answers["ops"] = AWAY
    alert = bench.alert(2)
    notices = await bench.goes_on(alert)
    for pause in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400):
        before = len(bench.posted)
        assert statuses(notices)[-1] == "retrying"
        assert await bench.goes_on(after=pause * SECOND - 1) == []
        bench.now += pause * SECOND // 10
        outputs = await bench.settle(await bench.room.process(bench.role))
        notices = of(outputs, "notices")
        assert len(bench.posted) == before + 1
    assert statuses(notices) == ["failed"]
    assert notices[0]["attempts"] == 10
    assert len(set(bench.ids)) == 2
    [letter] = of(outputs, "dead-letters")
    assert (letter["reason"], letter["topic"]) == ("notice_failed", "upshot.notice-requests")
    assert "upshot alerts ping ops" in letter["detail"]
    assert json.loads(b64decode(letter["value"]))["alert"] == json.loads(alert.value)
    assert await bench.goes_on(after=2 * DAY) == []


async def test_a_busy_receivers_wish_is_respected() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = Failed("answered 429", 429, after=60.0)
    await bench.goes_on(bench.alert(), bench.alert(2))
    assert len(bench.posted) == 2
    bench.answers.clear()
    await bench.goes_on(bench.alert(3), after=30 * SECOND)
    assert len(bench.posted) == 2
    await bench.goes_on(after=31 * SECOND)
    assert len(bench.posted) == 5


async def test_a_receiver_that_is_away_for_an_hour_gets_everything_when_it_is_back() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = AWAY
    for number in range(60):
        await bench.goes_on(bench.alert(number, notify=["ops", "other"]), after=MINUTE)
    assert sum(receiver == "other" for receiver, _ in bench.posted) == 60
    bench.posted.clear()
    bench.answers.clear()
    await bench.goes_on(bench.alert(60), after=MINUTE)
    got = [message.first.alert_id for receiver, message in bench.posted if receiver == "ops"]
    assert sorted(got) == sorted(f"a{number}" for number in range(61))
    assert len(set(bench.ids)) == 61


async def test_a_dead_receiver_holds_up_nobody() -> None:
    bench = await Bench().begin()
    held = asyncio.Event()
    plain = bench.post

    async def post(receiver: str, message: AlertMessage) -> PostResult:
        if receiver == "ops":
            await held.wait()
        return await plain(receiver, message)

    bench.role.posts._post = post
    records = [bench.alert(number, notify=["ops", "other"]) for number in range(200)]
    await bench.room.process(bench.role, *records)
    for _ in range(20):
        requests = [bench._back(o) for o in bench.room.outputs if o.topic == "upshot.notice-requests"]
        bench.room.outputs.clear()
        await bench.room.process(bench.role, *requests)
        for _ in range(50):
            await asyncio.sleep(0)
    assert len(bench.posted) == 200
    assert bench.role.posts.waiting() == {"ops": 200, "other": 0}
    held.set()
    await bench.goes_on()
    assert len(bench.posted) == 400


async def test_a_receiver_that_answers_410_is_switched_off_until_its_settings_change() -> None:
    receivers = configured(ops=hook())
    bench = await Bench(receivers=receivers).begin()
    bench.answers["ops"] = SwitchedOff("answered 410", 410)
    assert statuses(await bench.goes_on(bench.alert())) == ["pending", "failed"]
    bench.answers.clear()
    notices = await bench.goes_on(bench.alert(2))
    assert statuses(notices) == ["pending", "failed"]
    assert notices[-1]["error"] == "is switched off: it answered 410; change its settings"
    assert len(bench.posted) == 1
    again = await Bench(bench.room, receivers).begin()
    assert statuses(await again.goes_on(again.alert(3))) == ["pending", "failed"]
    changed = configured(ops=hook(url="http://127.0.0.1:9/hook#2"))
    mended = await Bench(bench.room, changed).begin()
    assert statuses(await mended.goes_on(mended.alert(4))) == ["pending", "sent"]


async def test_a_muted_rule_notifies_nobody() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = AWAY
    await bench.goes_on(bench.alert())
    bench.mutes["reopened"] = "the rule is muted: deploying"
    notices = await bench.goes_on(bench.alert(2), after=6 * SECOND)
    assert [(n["alert_id"], n["status"], n["error"]) for n in notices] == [
        ("a1", "dropped", "the rule is muted: deploying")
    ]
    assert len(bench.posted) == 1


async def test_the_end_of_an_alert_goes_out_in_spite_of_a_mute() -> None:
    bench = await Bench().begin()
    await bench.goes_on(bench.alert())
    bench.mutes["reopened"] = "the rule is muted"
    await bench.goes_on(bench.resolved(), bench.alert(2))
    assert bench.states == [("a1", "firing"), ("a1", "resolved")]


async def test_an_unknown_receiver_is_named_and_tried_again() -> None:
    bench = await Bench().begin()
    bench.answers["osp"] = Failed("is not set up: no receiver is called 'osp'")
    [_, retrying] = await bench.goes_on(bench.alert(notify=["osp"], digest_seconds=60.0))
    assert (retrying["status"], retrying["receiver_kind"]) == ("retrying", "unknown")
    assert "no receiver is called 'osp'" in retrying["error"]


@pytest.mark.parametrize("name", ["a\0b", "ü" * 200, "[]", " "])
async def test_any_receivers_name_is_a_key(name: str) -> None:
    bench = await Bench().begin()
    bench.answers[name] = AWAY
    await bench.goes_on(bench.alert(notify=[name], digest_seconds=60.0), bench.alert(2, notify=[name]))
    await bench.goes_on(after=MINUTE)
    assert {receiver for receiver, _ in bench.posted} == {name}


@pytest.mark.parametrize(
    "odd",
    [
        {"digest_seconds": 1e300},
        {"cooldown_seconds": 1e18, "group": {"k" * 200: "v" * 5_000}},
        {"message": "m" * 900_000, "digest_seconds": 60.0},
        {"revision": 2**63 - 1},
        {"revision": 0, "cause": "c" * 100_000},
        {"alert_id": "ü" * 512, "name": "\u0000 \u202e"},
        {"group": {str(number): "v" for number in range(5_000)}, "links": "x" * 100_000},
        {"kind": "rate", "run_id": None, "score_id": None, "value": None, "severity": "info"},
    ],
)
async def test_odd_alerts_are_notices_like_others(odd: dict[str, Any]) -> None:
    bench = await Bench().begin()
    await bench.goes_on(bench.alert(**odd), bench.alert(2, **{**odd, "alert_id": "a2"}))
    await bench.goes_on(after=40 * DAY)
    assert sum(message.count for _, message in bench.posted) == 2
    for _, message in bench.posted:
        assert len(webhook_body(message)) < 20_000


async def test_broken_alerts_are_passed_over_and_too_many_receivers_are_refused() -> None:
    bench = await Bench().begin()
    good = bench.alert()
    values = (None, b"", b"{", b"[]", (good.value or b"").replace(b"r1", b"\\ud800"))
    broken = [replace(good, value=value) for value in values]
    assert await bench.goes_on(*broken) == []
    many = bench.alert(notify=[f"r{number}" for number in range(51)])
    outputs = await bench.room.process(bench.role, many)
    [letter] = of(outputs, "dead-letters")
    assert letter["reason"] == "invalid_value" and "names 51 receivers" in letter["detail"]


async def test_a_new_owner_posts_again_what_was_being_posted_under_the_same_id() -> None:
    bench = await Bench().begin()
    bench.held = asyncio.Event()
    digest = {"digest_seconds": 300.0}
    await bench.goes_on(bench.alert(), *[bench.alert(n, **digest) for n in range(10, 14)])
    await bench.goes_on(after=5 * MINUTE)
    assert len(bench.posted) == 3
    successor = Bench(bench.room, now=bench.now + SECOND)
    await bench.role.revoked(frozenset())
    await successor.begin()
    await successor.goes_on()
    assert sorted(successor.ids) == sorted(bench.ids)
    assert sorted(m.count for _, m in successor.posted) == [1, 1, 3]
    later = Bench(bench.room, now=successor.now + DAY)
    await later.begin()
    await later.goes_on()
    assert later.posted == []


async def test_settled_alerts_are_forgotten_after_their_retention() -> None:
    bench = await Bench().begin()
    await bench.goes_on(bench.alert(), bench.alert(2, digest_seconds=60.0))
    await bench.goes_on(after=29 * DAY)
    assert bench.room.table.size(0) + bench.room.table.size(1) == 3
    await bench.goes_on(after=2 * DAY)
    assert bench.room.table.size(0) + bench.room.table.size(1) == 1


async def test_an_error_of_the_program_fails_the_notice_alone() -> None:
    bench = await Bench().begin()

    def broken(message: AlertMessage) -> PostResult:
        raise ValueError("no words")

    answers: dict[str, Callable[[AlertMessage], PostResult] | PostResult] = {"ops": broken}
    bench.answers = answers  # type: ignore[assignment]
    notices = await bench.goes_on(bench.alert(notify=["ops", "other"]))
    assert sorted(statuses(notices)) == ["pending", "pending", "retrying", "sent"]
    [error] = [notice["error"] for notice in notices if notice["status"] == "retrying"]
    assert error == "could not be called: ValueError, see the log of the worker", (
        "an error's text may have keys"
    )
    bench.answers["ops"] = Accepted()
    await bench.goes_on(after=6 * SECOND)
    assert bench.posted[-1][0] == "ops"

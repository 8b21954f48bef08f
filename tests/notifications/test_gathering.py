"""Digests, cooldowns and the cap of a receiver."""

from __future__ import annotations

import asyncio

from tests.notifications.bench import (
    AWAY,
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    Bench,
    hook,
    of,
    statuses,
)
from tests.receivers.made import configured
from upshot.receivers.results import Rejected


async def test_a_digest_tells_the_first_at_once_and_gathers_the_rest() -> None:
    bench = await Bench().begin()
    digest = {"digest_seconds": 300.0}
    await bench.goes_on(bench.alert(0, **digest))
    assert len(bench.posted) == 1
    notices = await bench.goes_on(*[bench.alert(number, **digest) for number in range(1, 100)])
    assert set(statuses(notices)) == {"pending"}
    notices = await bench.goes_on(bench.resolved(5, **digest), after=10 * SECOND)
    assert statuses(notices) == ["dropped"]
    assert len(bench.posted) == 1
    notices = await bench.goes_on(after=290 * SECOND)
    [_, (_, message)] = bench.posted
    assert (message.kind, message.count, len(message.alerts)) == ("digest", 98, 50)
    [whole] = [n for n in notices if n.get("digest_of") and n["status"] == "sent"]
    assert len(whole["digest_of"]) == 98 and whole["notice_id"] == message.notice_id
    members = [n for n in notices if n["status"] == "sent" and not n.get("digest_of")]
    assert {n["digest_id"] for n in members} == {message.notice_id} and len(members) == 98
    await bench.goes_on(bench.alert(200, **digest), after=MINUTE)
    assert len(bench.posted) == 2
    await bench.goes_on(after=4 * MINUTE)
    assert bench.states[-1] == ("a200", "firing") and bench.posted[-1][1].kind == "alert"
    await bench.goes_on(bench.alert(201, **digest), after=6 * MINUTE)
    assert bench.states[-1] == ("a201", "firing")


async def test_a_digest_is_tried_again_under_its_id_with_its_content() -> None:
    bench = await Bench().begin()
    digest = {"digest_seconds": 300.0}
    await bench.goes_on(*[bench.alert(number, **digest) for number in range(3)])
    bench.answers["ops"] = AWAY
    await bench.goes_on(after=5 * MINUTE)
    bench.answers.clear()
    resolved = await bench.goes_on(bench.resolved(1, **digest), after=SECOND)
    assert resolved == []
    await bench.goes_on(after=6 * SECOND)
    _, (_, first), (_, second) = bench.posted
    assert first == second and first.kind == "digest"
    await bench.goes_on(after=5 * MINUTE)
    assert bench.states[-1] == ("a1", "resolved")


async def test_a_given_up_digest_leaves_a_dead_letter_for_each_alert() -> None:
    bench = await Bench().begin()
    digest = {"digest_seconds": 300.0}
    await bench.goes_on(*[bench.alert(number, **digest) for number in range(4)])
    bench.answers["ops"] = Rejected("answered 400", 400)
    bench.now += 5 * MINUTE
    outputs = await bench.settle(await bench.room.process(bench.role))
    assert len(of(outputs, "dead-letters")) == 3
    assert statuses(of(outputs, "notices")).count("failed") == 4


async def test_a_cooldown_holds_back_the_same_rule_and_subject() -> None:
    bench = await Bench().begin()
    calm = {"cooldown_seconds": 3_600.0}
    acme, beta = {"group": {"customer": "acme"}, **calm}, {"group": {"customer": "beta"}, **calm}
    await bench.goes_on(bench.alert(1, **acme), bench.alert(2, **acme), bench.alert(3, **beta))
    assert sorted(bench.states) == [("a1", "firing"), ("a3", "firing")]
    await bench.goes_on(bench.resolved(1, **acme), after=MINUTE)
    assert bench.states[-1] == ("a1", "resolved")
    await bench.goes_on(after=HOUR)
    assert bench.states[-1] == ("a2", "firing")


async def test_alertmanager_gets_every_alert_at_once() -> None:
    bench = await Bench().begin()
    quiet = {"digest_seconds": 300.0, "cooldown_seconds": 300.0, "notify": ["am"]}
    await bench.goes_on(*[bench.alert(number, **quiet) for number in range(5)])
    assert len(bench.posted) == 5


async def test_more_than_a_receivers_cap_are_gathered_until_the_hour_is_over() -> None:
    bench = await Bench(receivers=configured(ops=hook(most_per_hour=10))).begin()
    await bench.goes_on(*[bench.alert(number) for number in range(500)])
    assert len(bench.posted) == 10
    await bench.goes_on(bench.resolved(0))
    assert len(bench.posted) == 11
    await bench.goes_on(after=HOUR)
    [digest] = bench.posted[11:]
    assert (digest[1].kind, digest[1].count) == ("digest", 490)


async def test_the_instant_of_the_cap_is_the_hours_end() -> None:
    bench = await Bench(receivers=configured(ops=hook(most_per_hour=1)), now=NOON + 59 * MINUTE).begin()
    await bench.goes_on(bench.alert(), bench.alert(2))
    await bench.goes_on(after=MINUTE)
    assert [alert for alert, _ in bench.states] == ["a1", "a2"]


async def test_a_former_owners_post_counts_as_perhaps_received() -> None:
    bench = await Bench().begin()
    bench.held = asyncio.Event()
    await bench.goes_on(bench.alert())
    await bench.role.revoked(frozenset())
    successor = await Bench(bench.room).begin()
    successor.answers["ops"] = AWAY
    await successor.goes_on()
    successor.answers.clear()
    await successor.goes_on(successor.resolved())
    assert successor.states[-1] == ("a1", "resolved")


async def test_a_rules_cap_outlives_the_worker_and_ends_with_the_hour() -> None:
    bench = await Bench().begin()
    capped = {"cap_per_hour": 3}
    notices = await bench.goes_on(*[bench.alert(number, **capped) for number in range(5)])
    assert len(bench.posted) == 3 and statuses(notices).count("dropped") == 2
    assert {n["error"] for n in notices if n["status"] == "dropped"} == {"capped: the rule sends 3 an hour"}
    await bench.role.revoked(frozenset())
    successor = await Bench(bench.room, now=bench.now).begin()
    await successor.goes_on(*[successor.alert(number, **capped) for number in range(10)])
    assert successor.posted == [], "neither again, nor over the cap"
    await successor.goes_on(successor.resolved(0, **capped), successor.resolved(4, **capped))
    ended = [alert for alert, state in successor.states]
    assert len(ended) <= 2 and all(state == "resolved" for _, state in successor.states)
    await successor.goes_on(successor.alert(20, name="another", **capped), after=SECOND)
    assert successor.states[-1] == ("a20", "firing"), "the cap is the rule's"
    await successor.goes_on(successor.alert(30, **capped), after=HOUR)
    assert successor.states[-1] == ("a30", "firing")


async def test_a_cooldown_outlives_the_worker() -> None:
    bench = await Bench().begin()
    calm = {"cooldown_seconds": 3_600.0, "group": {"customer": "acme"}}
    await bench.goes_on(bench.alert(1, **calm))
    await bench.role.revoked(frozenset())
    successor = await Bench(bench.room, now=bench.now + MINUTE).begin()
    await successor.goes_on(successor.alert(1, **calm), successor.alert(2, **calm))
    assert successor.posted == []
    await successor.goes_on(after=HOUR)
    assert successor.states == [("a2", "firing")]


async def test_a_failed_notice_is_retried_under_its_id() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = Rejected("answered 400", 400)
    notices = await bench.goes_on(bench.alert())
    [failed] = [n for n in notices if n["status"] == "failed"]
    bench.answers.clear()
    await bench.goes_on(bench.retry("another"), after=MINUTE)
    assert len(bench.posted) == 1, "no notice of that id has failed"
    again = await bench.goes_on(bench.retry(failed["notice_id"]), bench.retry(failed["notice_id"]))
    assert statuses(again) == ["pending", "sent"] and len(bench.posted) == 2
    assert set(bench.ids) == {failed["notice_id"]}
    await bench.goes_on(bench.retry(failed["notice_id"]))
    assert len(bench.posted) == 2, "it was sent"
    await bench.goes_on(bench.resolved())
    assert bench.states[-1] == ("a1", "resolved")


async def test_nothing_is_retried_once_the_alert_has_another_state() -> None:
    bench = await Bench().begin()
    bench.answers["ops"] = Rejected("answered 400", 400)
    [*_, failed] = await bench.goes_on(bench.alert())
    bench.answers.clear()
    await bench.goes_on(bench.resolved(), after=MINUTE)
    await bench.goes_on(bench.retry(failed["notice_id"]))
    assert len(bench.posted) == 1


async def test_a_member_of_a_given_up_digest_is_retried_alone() -> None:
    bench = await Bench().begin()
    digest = {"digest_seconds": 300.0}
    await bench.goes_on(*[bench.alert(number, **digest) for number in range(3)])
    bench.answers["ops"] = Rejected("answered 400", 400)
    notices = await bench.goes_on(after=5 * MINUTE)
    [failed] = [
        n for n in notices if n["status"] == "failed" and n["alert_id"] == "a2" and not n.get("digest_of")
    ]
    bench.answers.clear()
    await bench.goes_on(bench.retry(failed["notice_id"], 2, **digest))
    assert bench.states[-1] == ("a2", "firing") and bench.ids[-1] == failed["notice_id"]

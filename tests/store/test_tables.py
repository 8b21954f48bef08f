"""What readers see: each fact once, whatever its order and however often it came."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NOON, Store, Written, record
from upshot.schemas.ids import fact_id

pytestmark = pytest.mark.stack

RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
LATER = 4_000_000_000_000
INSTANT = "2026-01-0{}T00:00:00Z"


def decided(revision: int, value: bool | float | None, **changed: Any) -> Written:
    """A revision as the join writes it."""
    event = {
        "score_id": "score-1",
        "run_id": "r1",
        "name": "merged",
        "value": value,
        "revision": revision,
        "reason": "outcome",
        "subject": "pr:1",
        "wait_id": "w1",
        "decided_at": INSTANT.format(revision),
    }
    return record("scores", event | changed, offset=revision)


def wait(wait_id: str = "w1", **changed: Any) -> Written:
    event = {"wait_id": wait_id, "run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE}
    # Written long after all that it may say: nothing in it lies in the future.
    return record("waits", event | changed, timestamp=LATER)


def story() -> list[Written]:
    """A log with everything in it that could depend on an order."""
    run: dict[str, Any] = {"run_id": "r1"}
    outcome = {"type": "pr.closed", "subject": "pr:1", "id": "o1", "source": "github"}
    given: dict[str, Any] = {"run_id": "r1", "name": "helpful", "decided_at": INSTANT.format(1)}
    step: dict[str, Any] = {"run_id": "r1", "step_id": "s1", "name": "draft"}
    exposure: dict[str, Any] = {"run_id": "r1", "experiment": "e"}
    records = [
        record(
            "runs",
            run
            | {
                "agent": "z",
                "status": "running",
                "started_at": INSTANT.format(1),
                "attributes": {"a": 1, "b": 1},
            },
        ),
        record(
            "runs", run | {"status": "completed", "ended_at": INSTANT.format(3), "attributes": {"a": "later"}}
        ),
        record(
            "runs", run | {"agent": "a", "occurred_at": INSTANT.format(2), "attributes": {"b": 2, "a": "no"}}
        ),
        record("runs", run | {"status": "running", "occurred_at": INSTANT.format(5), "origin": "replay"}),
        record("runs", run | {"status": "failed", "occurred_at": INSTANT.format(3)}),
        record("runs", run | {"version": "1", "occurred_at": INSTANT.format(4)}),
        record("runs", run | {"version": "2", "occurred_at": INSTANT.format(4)}),
        record("steps", step | {"status": "running", "started_at": INSTANT.format(9)}),
        record("steps", step | {"ended_at": INSTANT.format(2), "output_tokens": 1}),
        record("steps", step | {"ended_at": INSTANT.format(2), "output_tokens": 2}),
        record("steps", step | {"attempt": 2}),
        record("outcomes", outcome | {"time": INSTANT.format(2)}),
        record("outcomes", outcome | {"time": INSTANT.format(1), "data": {"x": 1}}, offset=1),
        record("outcomes", outcome | {"time": INSTANT.format(1), "data": {"x": 2}}, offset=2),
        record("exposures", exposure | {"variant": "b", "exposed_at": INSTANT.format(2)}),
        record("exposures", exposure | {"variant": "a", "exposed_at": INSTANT.format(1)}),
        wait(opened_at=INSTANT.format(2)),
        wait(opened_at=INSTANT.format(1), rule=RULE | {"else": True}),
        wait(opened_at=INSTANT.format(1), rule=RULE | {"within": "P2D"}),
        wait("w2"),
        decided(1, False, reason="deadline"),
        decided(2, True, late=True),
        decided(2, True, late=True, decided_at=INSTANT.format(4)),
        record("scores", given | {"value": 0.5}),
        record("scores", given | {"value": 0.7}),
        record("scores", given | {"value": 0.9, "decided_at": INSTANT.format(2)}),
        record("scores", given | {"value": 1.0, "name": "unknown", "run_id": "r2"}),
        record(
            "alerts",
            {
                "alert_id": "a",
                "name": "n",
                "run_id": "r1",
                "score_id": "s",
                "value": 0.1,
                "raised_at": INSTANT.format(2),
            },
        ),
        record(
            "alerts",
            {
                "alert_id": "a",
                "name": "n",
                "run_id": "r1",
                "score_id": "s",
                "value": 0.1,
                "raised_at": INSTANT.format(1),
            },
        ),
        record("dead-letters", b"\xff\0 not json", offset=3),
    ]
    return [
        record(written.topic.removeprefix("upshot."), written.value, offset=n, timestamp=NOON + n)
        for n, written in enumerate(records)
    ]


async def test_each_record_twice_gives_the_same_tables(store: Store) -> None:
    await store.take(*story())
    once = store.everything()
    await store.take(*story())
    assert store.everything() == once
    await store.take(*story(), *story())
    assert store.everything() == once


@pytest.fixture
async def told(store: Store) -> tuple[Store, dict[str, list[str]]]:
    """A store whose parts stay as they are inserted, and what the story looks like in it."""
    store.keep_parts()
    await store.take(*story())
    return store, store.everything()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_and_any_repetition_gives_the_same_tables(
    told: tuple[Store, dict[str, list[str]]], data: st.DataObject
) -> None:
    """Also with each block as a part of its own."""
    store, expected = told
    store.clear()
    log = story()
    again = data.draw(st.lists(st.sampled_from(log), max_size=10))
    shuffled = data.draw(st.permutations(log + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        await store.take(*shuffled[start:end])
    assert store.everything() == expected


async def test_the_story_reads_as_it_should(store: Store) -> None:
    await store.take(*story())
    [run] = store.ask("SELECT * FROM runs")
    assert (run["agent"], run["status"], run["version"], run["origin"]) == ("a", "failed", "2", "replay")
    assert run["attributes"] == {"a": "later", "b": "2"}
    assert run["started_at"] == datetime(2026, 1, 1)
    assert store.values("SELECT status, attempt FROM steps ORDER BY attempt") == [("ok", 1), ("ok", 2)]
    assert store.values("SELECT time FROM outcomes") == [(datetime(2026, 1, 1),)]
    assert store.values("SELECT variant FROM exposures") == [("a",)]
    assert store.values("SELECT wait_id, opened_at FROM waits WHERE wait_id = 'w1'") == [
        ("w1", datetime(2026, 1, 1))
    ]
    assert store.values("SELECT raised_at FROM alerts") == [(datetime(2026, 1, 1),)]
    current = store.values(
        "SELECT name, value, revision, reason, agent, run_known FROM current_scores ORDER BY name"
    )
    assert current == [
        ("helpful", 0.9, 3, "given", "a", True),
        ("merged", 1.0, 2, "outcome", "a", True),
        ("unknown", 1.0, 1, "given", "", False),
    ]


async def test_a_later_event_counts_before_parts_are_merged(store: Store) -> None:
    """Whatever the values are: a later one that sorts lower too."""
    store.keep_parts()
    for day, agent in ((2, "zz"), (3, "aa"), (1, "mm")):
        event = {
            "run_id": "r1",
            "agent": agent,
            "occurred_at": INSTANT.format(day),
            "attributes": {"k": agent},
        }
        await store.take(record("runs", event))
    assert store.values("SELECT agent, attributes['k'] FROM runs") == [("aa", "aa")]
    assert store.values("SELECT count() FROM runs WHERE agent = 'zz'") == [(0,)]


events = st.fixed_dictionaries(
    {},
    optional={
        "agent": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(["running", "completed", "failed", "cancelled"]),
        "occurred_at": st.sampled_from([INSTANT.format(n) for n in (1, 2, 3)]),
        "started_at": st.sampled_from([INSTANT.format(n) for n in (1, 2)]),
        "ended_at": st.sampled_from([INSTANT.format(n) for n in (2, 3)]),
        "error": st.sampled_from(["", "x"]),
        "origin": st.sampled_from(["live", "replay"]),
        "attributes": st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from([1, "1", None, "z"])),
    },
)
orders = st.lists(events, min_size=1, max_size=5).flatmap(
    lambda log: st.tuples(
        st.just(log),
        st.lists(st.sampled_from(log), max_size=2).flatmap(lambda more: st.permutations(log + more)),
    )
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases=st.lists(orders, min_size=20, max_size=40))
async def test_events_of_a_run_merge_in_any_order(
    store: Store, cases: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]
) -> None:
    """Many runs at once; round n inserts the nth event of each, in both orders."""
    store.clear()
    store.keep_parts()
    for turn in range(7):
        block = [
            record("runs", {"run_id": f"{side}{number}"} | log[turn])
            for number, case in enumerate(cases)
            for side, log in zip("xy", case, strict=True)
            if turn < len(log)
        ]
        await store.take(*block)
    sides = [
        store.values(
            f"SELECT * EXCEPT run_id FROM runs WHERE run_id LIKE '{side}%' ORDER BY toUInt32(substring(run_id, 2))"
        )
        for side in "xy"
    ]
    assert len(sides[0]) == len(cases)
    assert sides[0] == sides[1]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_final_status_is_never_overwritten_by_running(store: Store, status: str) -> None:
    await store.take(record("runs", {"run_id": "r", "status": status, "occurred_at": INSTANT.format(1)}))
    await store.take(record("runs", {"run_id": "r", "status": "running", "occurred_at": INSTANT.format(9)}))
    assert store.values("SELECT status FROM runs") == [(status,)]


async def test_a_late_revision_moves_the_current_score_and_keeps_the_history(store: Store) -> None:
    await store.take(decided(1, False, reason="deadline"))
    assert store.values("SELECT value, revision, reason, late FROM current_scores") == [
        (0.0, 1, "deadline", False)
    ]
    await store.take(decided(2, True, late=True, supersedes=1))
    assert store.values("SELECT value, revision, reason, late FROM current_scores") == [
        (1.0, 2, "outcome", True)
    ]
    history = store.values("SELECT revision, supersedes, value, kind FROM scores ORDER BY revision")
    assert history == [(1, None, 0.0, "boolean"), (2, 1, 1.0, "boolean")]


async def test_a_revision_without_a_value_takes_the_score_back(store: Store) -> None:
    await store.take(decided(1, True), decided(2, None, reason="reopened"))
    assert store.values("SELECT * FROM current_scores") == []
    assert store.values("SELECT kind, value FROM scores WHERE revision = 2") == [("", None)]


async def test_a_score_can_be_given_again_and_a_decided_one_corrected(store: Store) -> None:
    event = {"run_id": "r1", "name": "helpful", "key": "k"}
    for day, value in ((3, 0.3), (1, 0.1), (2, 0.2)):
        await store.take(record("scores", event | {"value": value, "decided_at": INSTANT.format(day)}))
    assert store.values("SELECT value, revision FROM current_scores") == [(0.3, 3)]
    assert store.values("SELECT revision, supersedes, value FROM scores ORDER BY revision") == [
        (1, None, 0.1),
        (2, 1, 0.2),
        (3, 2, 0.3),
    ]
    store.clear()
    await store.take(decided(1, False), decided(2, True))
    await store.take(decided(1, False, reason="given", decided_at=INSTANT.format(1)))
    assert store.values("SELECT value, revision, reason FROM current_scores") == [(0.0, 3, "given")]
    assert store.values("SELECT revision, reason FROM scores ORDER BY revision") == [
        (1, "outcome"),
        (2, "outcome"),
        (3, "given"),
    ]


async def test_attribution_that_arrives_late_is_taken_from_the_run(store: Store) -> None:
    await store.take(
        decided(1, True, attributes={"language": "C", "own": "1"}),
        wait("open"),
    )
    [score] = store.ask("SELECT * FROM current_scores")
    assert (score["agent"], score["run_known"], score["exposures"]) == ("", False, [])
    await store.take(
        record("runs", {"run_id": "r1", "agent": "coder", "version": "7", "attributes": {"language": "Go"}}),
        record("exposures", {"run_id": "r1", "experiment": "e", "variant": "v", "probability": 0.5}),
    )
    [score] = store.ask("SELECT * FROM current_scores")
    assert (score["agent"], score["run_known"], score["version"]) == ("coder", True, "7")
    assert score["attributes"] == {"language": "Go", "own": "1"}
    assert score["exposures"] == [{"experiment": "e", "variant": "v", "phase": "1", "probability": 0.5}]
    [pending] = store.ask("SELECT * FROM pending")
    assert (pending["agent"], pending["attributes"]) == ("coder", {"language": "Go"})


async def test_what_a_score_carries_itself_comes_first(store: Store) -> None:
    carried = [{"experiment": "e", "variant": "carried", "phase": "2", "probability": 0.25}]
    await store.take(
        record("runs", {"run_id": "r1", "agent": "other"}),
        record("exposures", {"run_id": "r1", "experiment": "e", "variant": "v"}),
        decided(1, True, agent="coder", exposures=carried),
    )
    [score] = store.ask("SELECT agent, exposures FROM current_scores")
    assert score == {"agent": "coder", "exposures": carried}


ANSWERS: dict[str, list[Written]] = {
    "none": [],
    "value": [decided(1, 1.0)],
    "expired": [decided(1, None, reason="expired")],
    "reopened": [decided(1, 1.0), decided(2, None, reason="reopened")],
    "another wait's": [decided(1, 1.0, wait_id="w9")],
    "another subject's": [decided(1, 1.0, subject="pr:9")],
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=30)], ids=["open", "over"])
async def test_pending_in_every_mode(store: Store, age: timedelta, answer: str) -> None:
    opened = datetime.now(UTC) - age
    over = age > timedelta(days=14)
    for mode in ("first", "last", "all", "count", "sum"):
        store.clear()
        rule = {"on": {"x": {"score": 1}}, "within": "P14D", "mode": mode}
        await store.take(wait(rule=rule, opened_at=opened.isoformat()), *ANSWERS[answer])
        still_revised = mode in ("last", "count", "sum") and not over
        expected = [("w1", mode, over)] if answer not in ("value", "expired") or still_revised else []
        assert store.values("SELECT wait_id, mode, overdue FROM pending") == expected


async def test_waits_tell_their_window(store: Store) -> None:
    await store.take(
        wait(opened_at=INSTANT.format(2), since=INSTANT.format(1)), wait("w2", opened_at=INSTANT.format(3))
    )
    assert store.values("SELECT opened_at, since, deadline FROM waits ORDER BY wait_id") == [
        (datetime(2026, 1, 2), datetime(2026, 1, 1), datetime(2026, 1, 16)),
        (datetime(2026, 1, 3), datetime(2026, 1, 3), datetime(2026, 1, 17)),
    ]
    [(rule,)] = store.values("SELECT rule FROM waits WHERE wait_id = 'w1'")
    assert json.loads(rule) == RULE


async def test_an_expired_wait_is_history_and_no_score(store: Store) -> None:
    await store.take(wait(), decided(1, None, reason="expired"))
    assert store.values("SELECT reason, value FROM scores") == [("expired", None)]
    assert store.values("SELECT 1 FROM current_scores UNION ALL SELECT 1 FROM pending") == []


async def test_numbers_and_booleans_are_told_apart(store: Store) -> None:
    values = {
        "yes": True,
        "no": False,
        "one": 1,
        "half": 0.5,
        "huge": 1.7976931348623157e308,
        "tiny": -5e-324,
    }
    await store.take(
        *(record("scores", {"run_id": "r1", "name": name, "value": value}) for name, value in values.items())
    )
    found = {
        name: (kind, value)
        for name, kind, value in store.values("SELECT name, kind, value FROM current_scores")
    }
    assert found == {
        name: ("boolean" if isinstance(value, bool) else "number", float(value))
        for name, value in values.items()
    }


STRANGE = ["ü€😀", "a\0b", "'\"\\`", "\n\t\r", " ", "a" * 200, "\u202e", "{}", "NULL", "\\N"]


@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
async def test_any_text_comes_back_as_it_was(store: Store, text: str) -> None:
    await store.take(
        record("runs", {"run_id": text, "agent": text, "output": text, "attributes": {text: text}}),
        record("scores", {"run_id": text, "step_id": text, "name": text, "value": 1, "comment": text}),
        record("outcomes", {"type": text, "subject": text, "id": text, "data": {text: text}}),
    )
    assert store.values("SELECT run_id, agent, output, attributes FROM runs") == [
        (text, text, text, {text: text})
    ]
    assert store.values("SELECT run_id, step_id, name, agent FROM current_scores") == [
        (text, text, text, text)
    ]
    [(kind, subject, identity, data)] = store.values("SELECT type, subject, id, data FROM outcomes")
    assert (kind, subject, identity, json.loads(data)) == (text, text, text, {text: text})


async def test_dead_letters_keep_the_very_bytes(store: Store) -> None:
    raw = bytes(range(256)) * 3
    letter = {
        "dead_letter_id": "d1",
        "reason": "not_json",
        "detail": "no",
        "topic": "upshot.runs",
        "partition": 3,
        "offset": 2**62,
        "key": b64encode(b"\xff").decode(),
        "value": b64encode(raw).decode(),
        "headers": [["h", b64encode(b"\xfe\0").decode()]],
        "recorded_at": INSTANT.format(1),
    }
    await store.take(record("dead-letters", letter))
    [row] = store.ask(
        "SELECT hex(payload) AS payload, hex(key) AS key, hex(headers[1].value) AS header, offset FROM dead_letters"
    )
    assert bytes.fromhex(row["payload"]) == raw
    assert (row["key"], row["header"], row["offset"]) == ("FF", "FE00", 2**62)


async def test_huge_counts(store: Store) -> None:
    most = 2**63 - 1
    step = {"run_id": "r", "step_id": "s", "name": "n", "input_tokens": 1, "cached_input_tokens": most}
    await store.take(record("steps", step | {"output_tokens": most, "attempt": most, "cost_usd": 1e300}))
    assert store.values("SELECT output_tokens, attempt, cost_usd, uncached_input_tokens FROM steps") == [
        (most, most, 1e300, 1 - most)
    ]


async def test_outcomes_that_nobody_waited_for(store: Store) -> None:
    for subject, kind in (("pr:1", "pr.closed"), ("pr:1", "pr.opened"), ("pr:2", "pr.closed")):
        await store.take(record("outcomes", {"type": kind, "subject": subject, "id": kind}))
    await store.take(wait())
    unmatched = store.values("SELECT subject, type FROM unmatched_outcomes ORDER BY subject")
    assert unmatched == [("pr:1", "pr.opened"), ("pr:2", "pr.closed")]


async def test_an_outcome_without_an_id_has_its_place_as_id(store: Store) -> None:
    least = {"type": "pr.closed", "subject": "pr:1"}
    await store.take(record("outcomes", least, offset=4), record("outcomes", least, offset=5))
    assert store.values("SELECT id, topic, partition, offset FROM outcomes ORDER BY offset") == [
        ("upshot.outcomes-0-4", "upshot.outcomes", 0, 4),
        ("upshot.outcomes-0-5", "upshot.outcomes", 0, 5),
    ]


@pytest.mark.parametrize("join_use_nulls", [0, 1])
async def test_views_read_alike_under_any_profile(store: Store, join_use_nulls: int) -> None:
    await store.take(*story(), decided(1, True, score_id="alone", run_id="nobody"))
    sql = "SELECT run_id, agent, run_known, status, attributes, exposures, revision FROM current_scores ORDER BY score_id"
    plain = store.values(sql)
    assert store.values(f"{sql} SETTINGS join_use_nulls = {join_use_nulls}") == plain
    assert len(plain) == 4


async def test_a_wait_of_the_join_and_its_score_share_their_ids(store: Store) -> None:
    """The score id that the join makes is that of subject and wait, so that pending can be told from both."""
    wait_id = fact_id("wait", "r1", "", "merged", "pr:1")
    await store.take(record("waits", {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE}))
    assert store.values("SELECT wait_id FROM pending") == [(wait_id,)]

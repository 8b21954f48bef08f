"""What readers see of each kind of fact."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from tests.store.conftest import Store, Written, record
from tests.store.story import INSTANT, LATER, RULE, decided, registered, story, wait
from upshot.schemas.ids import fact_id

pytestmark = pytest.mark.stack


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


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
async def test_an_experiment_chosen_after_the_wait_is_attributed_too(store: Store, first: bool) -> None:
    carried = {"experiment": "tone", "variant": "warm", "phase": "2", "probability": 0.25}
    chosen = record("exposures", {"run_id": "r1", "experiment": "length", "variant": "long"})
    score = decided(1, True, exposures=[carried])
    await store.take(*((chosen, score) if first else (score, chosen)))
    [found] = store.ask("SELECT exposures FROM current_scores")
    unknown = {"experiment": "length", "variant": "long", "phase": "1", "probability": 0}
    assert found["exposures"] == [unknown, carried]


async def test_two_variants_within_a_run_stay_visible(store: Store) -> None:
    exposure = {"run_id": "r1", "experiment": "tone", "unit": "u"}
    for variant in ("warm", "plain", "warm"):
        await store.take(record("exposures", exposure | {"variant": variant}))
    assert store.values("SELECT variant, probability FROM exposures ORDER BY variant") == [
        ("plain", None),
        ("warm", None),
    ]


async def test_the_registry_is_stored_record_by_record(store: Store) -> None:
    await store.take(registered(1, {"a": 1, "b": 1}), registered(2, {"a": 0, "b": 1}, status="shipped"))
    await store.take(registered(1, {"a": 1, "b": 1}))
    assert store.values("SELECT phase, status FROM experiment_changes ORDER BY phase") == [
        ("1", "running"),
        ("2", "shipped"),
    ]
    [present] = store.ask("SELECT experiment, phase, variants, record FROM experiments")
    assert (present["phase"], present["variants"]) == ("2", {"a": 0, "b": 1})
    assert json.loads(present["record"])["status"] == "shipped"
    assert store.values("SELECT phase, weights FROM experiment_phases ORDER BY phase") == [
        ("1", {"a": 1, "b": 1}),
        ("2", {"a": 0, "b": 1}),
    ]


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
        "SELECT hex(payload) AS payload, hex(key) AS key, hex(headers[1].value) AS header, offset FROM "
        "dead_letters"
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
    await store.take(record("outcomes", {"type": "pr.opened", "subject": "pr:1", "id": "pr.opened"}))
    assert store.values("SELECT outcomes FROM outcome_counts") == [(3,)]


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
    sql = (
        "SELECT run_id, agent, run_known, status, attributes, exposures, revision FROM current_scores ORDER "
        "BY score_id"
    )
    plain = store.values(sql)
    assert store.values(f"{sql} SETTINGS join_use_nulls = {join_use_nulls}") == plain
    assert len(plain) == 4


async def test_a_wait_of_the_join_and_its_score_share_their_ids(store: Store) -> None:
    """The score id that the join makes is that of subject and wait, so that pending can be told from both."""
    wait_id = fact_id("wait", "r1", "", "merged", "pr:1")
    await store.take(record("waits", {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE}))
    assert store.values("SELECT wait_id FROM pending") == [(wait_id,)]


async def test_a_cancelled_wait_is_not_pending_and_is_seen_in_waits(store: Store) -> None:
    cancel = {"wait_id": "w1", "subject": "pr:1", "cancelled_at": "2026-06-01T13:00:00Z"}
    about = {"subject": "pr:1", "opened_at": "2026-06-01T12:00:00Z"}
    ended = "SELECT wait_id, subject, cancelled_at IS NOT NULL FROM waits ORDER BY subject"
    await store.take(
        record("waits", cancel, timestamp=LATER),
        wait("w1", **about),
        wait("w1", **about | {"subject": "pr:2"}),
    )
    assert store.values(ended) == [("w1", "pr:1", 1), ("w1", "pr:2", 0)]
    assert store.values("SELECT subject FROM pending") == [("pr:2",)]
    later = cancel | {"subject": "pr:2", "cancelled_at": "2027-06-01T00:00:00Z"}
    await store.take(record("waits", later, timestamp=LATER), record("waits", cancel, timestamp=LATER))
    assert store.values("SELECT subject FROM pending") == [("pr:2",)]
    await store.take(wait("w1", revision=2, **about))
    assert store.values("SELECT subject FROM pending ORDER BY subject") == [("pr:1",), ("pr:2",)]
    assert store.values("SELECT count() FROM cancellations") == [(2,)]


async def test_cancelled_deferrals_are_kept_and_the_last_revision_of_a_deferral_counts(store: Store) -> None:
    event = {"followup_id": "f1", "run_id": "r1", "scorer": "s", "deferred_by": "f0"}
    first = event | {"deferred_at": "2026-06-01T12:00:00Z", "data": 1}
    again = event | {"deferred_at": "2026-06-01T12:30:00Z", "data": 2, "revision": 2}
    cancelled = first | {"revision": 1, "cancelled_at": "2026-06-01T12:15:00Z"}
    await store.take(record("deferrals", again), record("deferrals", cancelled), record("deferrals", first))
    assert store.values("SELECT followup_id, data FROM deferrals") == [("f1", "2")]
    seen = store.values("SELECT topic, id, asker, revision, run_id FROM cancellations")
    assert seen == [("deferrals", "f1", "f0", 1, "r1")]


async def test_a_null_record_is_no_dead_letter(store: Store) -> None:
    await store.take(record("runs", None, key=b"r1"), record("waits", None, key=b"pr:1"))
    assert store.values("SELECT count() FROM dead_letters") == [(0,)]

"""Random histories: order, repetition, batching and the time of judging can't change where the join ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json
from msgspec.structs import replace

from upshot.processors.correlate.decide import expire, step
from upshot.processors.correlate.facts import Arrival, Fact, OutcomeReceived, ScoreRevised, WaitReceived
from upshot.processors.correlate.rules import decide
from upshot.processors.correlate.state import (
    StoredMatch,
    StoredOutcome,
    StoredRule,
    StoredWait,
    Subject,
    Verdict,
    decode_subject,
    encode_subject,
)

FOR_EVER = 10**15
#: Histories for each property; `HISTORIES=10000` looks longer.
HISTORIES = int(os.environ.get("HISTORIES", "300"))
#: What every wait of a history has that doesn't say one itself: the setting.
SETTING = 3
#: As instants of whole seconds, of whole tenths, and exact ones; some are written so.
WIDTHS = st.sampled_from([0, 0, 1, 9])
SUBJECTS = st.sampled_from(["pr:1", "pr:2"])
TYPES = st.sampled_from(["closed", "reopened", "refunded"])
INSTANTS = st.integers(0, 30)


@st.composite
def questions(draw: st.DrawFn) -> StoredWait:
    mode = draw(st.sampled_from(["first", "last", "all", "count", "sum"]))
    types = draw(st.lists(TYPES, min_size=1, unique=True))
    opened_at = draw(INSTANTS)
    paths = st.sampled_from(["data.v", "data.flag"])
    constants = st.integers(0, 3).map(float) if mode in ("count", "sum") else st.booleans()
    stated = draw(st.sampled_from([None, None, 0, 2, SETTING]))
    return StoredWait(
        wait_id=draw(st.sampled_from(["w1", "w2", "w3"])),
        run_id="r",
        name="n",
        opened_at=opened_at,
        since=opened_at - draw(st.integers(0, 10)),
        deadline=opened_at + draw(st.integers(1, 20)),
        rule_json=StoredRule(
            on={
                kind: StoredMatch(
                    draw(st.one_of(paths, constants)), draw(st.sampled_from([None, "data.flag"]))
                )
                for kind in types
            },
            nothing_came=draw(st.one_of(st.none(), constants)),
            mode=mode,
        ).json,
        tolerance=SETTING if stated is None else stated,
        width=draw(WIDTHS),
        says_tolerance=stated is not None,
    )


outcomes = st.builds(
    StoredOutcome,
    id=st.sampled_from(["o1", "o2", "o3", "o4", "o5"]),
    type=TYPES,
    time=INSTANTS,
    arrived=st.just(0),
    partition=st.just(0),
    offset=st.just(0),
    source=st.sampled_from(["", "github"]),
    data_json=st.fixed_dictionaries(
        {"v": st.one_of(st.integers(-3, 3), st.booleans(), st.none(), st.just("text"))},
        optional={"flag": st.booleans()},
    ).map(lambda data: Raw(json.encode(data))),
    width=WIDTHS,
    sequence=st.sampled_from([None, None, 2, 10, "2", "10", "b"]),
    recorded=st.integers(1, 4),
)
arrivals = st.one_of(
    st.builds(OutcomeReceived, SUBJECTS, outcomes), st.builds(WaitReceived, SUBJECTS, questions())
)
histories: st.SearchStrategy[list[Arrival]] = st.lists(arrivals, max_size=14)


def play(batches: Sequence[Sequence[Arrival]], judged_between: bool) -> dict[str, Subject]:
    """The states after the batches, every one of them through its encoded form,
    and after judging all deadlines.
    """
    states: dict[str, Subject] = {}
    now = 100
    for batch in batches:
        now += 1
        states |= {
            key: decode_subject(encode_subject(after))
            for key, after in step(states, batch, now).subjects.items()
        }
        if judged_between:
            states = {key: expire(key, state, FOR_EVER, now).subject for key, state in states.items()}
    return {key: expire(key, state, FOR_EVER, now + 1).subject for key, state in states.items()}


def current(states: dict[str, Subject]) -> dict[tuple[str, str], Verdict | None]:
    return {
        (key, wait_id): waiting.verdict
        for key, state in states.items()
        for wait_id, waiting in state.waits.items()
    }


def without_conflicts(*batches: list[Arrival]) -> list[list[Arrival]]:
    """The batches with one content for each id: what a conflict superseded is not said again.

    Nor is what a record superseded that was written earlier.
    """
    contents: dict[tuple[str, ...], Arrival] = {}
    return [[contents.setdefault(_name(arrival), arrival) for arrival in batch] for batch in batches]


def _name(arrival: Arrival) -> tuple[str, ...]:
    match arrival:
        case OutcomeReceived(subject, outcome):
            return ("outcome", subject, outcome.key)
        case WaitReceived(subject, question):
            return ("wait", subject, question.wait_id)


@st.composite
def rearranged(draw: st.DrawFn) -> tuple[list[Arrival], list[list[Arrival]]]:
    """A history, and the same with everything shuffled, some of it repeated, cut into batches at random."""
    history = draw(histories)
    repeated = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    shuffled = draw(st.permutations(history + repeated))
    cuts = sorted(draw(st.sets(st.integers(0, len(shuffled)), max_size=5)) | {0, len(shuffled)})
    return history, [shuffled[a:b] for a, b in pairwise(cuts)]


def by_the_book(history: Sequence[Arrival]) -> dict[tuple[str, str], Verdict | None]:
    """What follows from the set of what was told, decided at once."""
    outcomes: dict[str, dict[str, StoredOutcome]] = {}
    questions: dict[tuple[str, str], StoredWait] = {}
    for arrival in history:
        match arrival:
            case OutcomeReceived(subject, told):
                others = [known for known in [outcomes.get(subject, {}).get(told.key)] if known]
                least = min([told, *others], key=lambda known: known.rank)
                recorded = min(known.recorded for known in [told, *others])
                outcomes.setdefault(subject, {})[told.key] = replace(least, recorded=recorded)
            case WaitReceived(subject, asked):
                place = subject, asked.wait_id
                questions[place] = min(asked, questions.get(place, asked), key=lambda question: question.rank)
    return {
        (subject, wait_id): decide(question, outcomes.get(subject, {}).values(), judged=True)
        for (subject, wait_id), question in questions.items()
    }


@settings(max_examples=HISTORIES, deadline=None)
@given(rearranged(), st.booleans())
def test_every_order_and_batching_ends_the_same(
    case: tuple[list[Arrival], list[list[Arrival]]], judged_between: bool
) -> None:
    history, batches = case
    expected = by_the_book(history)
    assert current(play(batches, judged_between)) == expected
    assert current(play([history], judged_between=False)) == expected


@settings(max_examples=HISTORIES // 2, deadline=None)
@given(histories, histories)
def test_a_batch_applied_twice_changes_nothing_and_says_the_same(
    before: list[Arrival], batch: list[Arrival]
) -> None:
    before, batch = without_conflicts(before, batch)
    states = dict(step({}, before, 1).subjects)
    first = step(states, batch, 2)
    states |= first.subjects
    again = step(states, batch, 3)
    assert again.subjects == {}
    assert _announced(first.facts) <= _announced(again.facts)


@settings(max_examples=HISTORIES // 3, deadline=None)
@given(rearranged())
def test_revisions_count_up_and_only_new_verdicts_make_one(
    case: tuple[list[Arrival], list[list[Arrival]]],
) -> None:
    for state in play(case[1], judged_between=True).values():
        for waiting in state.waits.values():
            assert [r.number for r in waiting.revisions] == list(range(1, len(waiting.revisions) + 1))
            assert all(a.verdict != b.verdict for a, b in pairwise(waiting.revisions))


@settings(max_examples=HISTORIES // 2, deadline=None)
@given(histories)
def test_batching_leaves_every_revision_as_it_was(history: list[Arrival]) -> None:
    whole = step({}, history, 1)
    states: dict[str, Subject] = {}
    facts: list[Fact] = []
    for arrival in history:
        changes = step(states, [arrival], 1)
        states |= changes.subjects
        facts += changes.facts
    assert whole.subjects == states
    assert _announced(facts) == _announced(whole.facts)


def _announced(facts: Sequence[Fact]) -> set[object]:
    return {
        (fact.identity, fact.revision if isinstance(fact, ScoreRevised) else fact.detail) for fact in facts
    }

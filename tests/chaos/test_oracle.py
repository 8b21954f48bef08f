"""The oracle comes to what the cases were made for, in any order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import pytest

from benchmarks.chaos.cases import SHAPES, Case, cases
from benchmarks.chaos.check import dispute
from benchmarks.chaos.journal import Entry
from benchmarks.chaos.oracle import Answer, truth_of

NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
AFTERWARDS = NOW + timedelta(minutes=1)


def entries(made: Iterable[Case]) -> list[Entry]:
    messages = [message for case in made for message in case.messages]
    stamp = int(NOW.timestamp() * 1000)
    return [Entry(message.topic, 0, n, stamp, message.value) for n, message in enumerate(messages)]


@pytest.fixture(scope="module")
def made() -> list[Case]:
    made = list(islice(cases(7, lambda: NOW), 3_000))
    assert {case.shape for case in made} == set(SHAPES)
    return made


def test_it_agrees_with_what_the_cases_were_made_for(made: list[Case]) -> None:
    truth = truth_of(entries(made), AFTERWARDS)
    assert dispute(truth, made) == []
    assert truth.runs == {case.run_id for case in made}
    assert {letter.reason for letter in truth.letters} == {
        "empty",
        "invalid_rule",
        "invalid_value",
        "missing_field",
        "no_subject",
        "not_an_object",
        "not_finite",
        "not_json",
        "too_large",
        "unusable_outcome",
    }


def test_order_does_not_matter(made: list[Case]) -> None:
    records = entries(made[:500])
    shuffled = Random(1).sample(records, len(records))
    one, other = truth_of(records, AFTERWARDS), truth_of(shuffled, AFTERWARDS)
    assert (one.answers, one.open, set(one.letters)) == (other.answers, other.open, set(other.letters))


def test_what_the_join_forwarded_is_no_input(made: list[Case]) -> None:
    records = entries(made[:100])
    forwarded = [record._replace(offset=record.offset + 1_000, forwarded=True) for record in records]
    assert truth_of(records + forwarded, AFTERWARDS) == truth_of(records, AFTERWARDS)


def test_it_disputes_a_message_that_never_came(made: list[Case]) -> None:
    case = next(case for case in made if case.shape == "first" and len(case.messages) == 3)
    records = [entry for entry in entries([case]) if entry.topic != "outcomes"]
    (line,) = dispute(truth_of(records, AFTERWARDS), [case])
    assert "come to None" in line


def test_a_deadline_counts_once_it_has_passed(made: list[Case]) -> None:
    case = next(case for case in made if case.shape == "silent" and None not in case.expected.values())
    (about,) = case.expected
    before = truth_of(entries([case]), NOW)
    assert (before.answers, before.open) == ({}, {about})
    after = truth_of(entries([case]), AFTERWARDS)
    assert (after.answers, after.open) == ({about: Answer(0.0, "deadline", "boolean")}, set())

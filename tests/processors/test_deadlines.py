"""When a subject is looked at again, and what is then forgotten."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from upshot.processors.correlate import Asked, Observed, Scored, Step, judge, step
from upshot.processors.deadlines import Horizons, next_look, open_waits, retire
from upshot.processors.state import Known, Match, Question, Rule, Subject

DAY = 24 * 3600 * 1_000_000
HORIZONS = Horizons(look_back=timedelta(days=30), settled=timedelta(days=10), grace=timedelta(seconds=1))
QUESTION = Question("w", "r", "n", 0, 0, 7 * DAY, Rule({"reopened": Match(False)}, nothing_came=True).json)
REOPENED = Known(id="o", type="reopened", time=2 * DAY, arrived=2 * DAY, partition=0, offset=0)


def known(*arrivals: Asked | Observed, now: int = 0) -> Subject:
    return step({}, arrivals, now).subjects["s"]


def test_an_open_question_is_looked_at_after_its_deadline_and_grace() -> None:
    assert next_look(known(Asked("s", QUESTION)), HORIZONS) == 7 * DAY + 1_000_000


def test_open_waits_are_those_without_an_answer_that_may_still_come() -> None:
    asked, other = Asked("s", QUESTION), Asked("s", msgspec.structs.replace(QUESTION, wait_id="other"))
    assert open_waits(known(asked, other)) == 2
    assert open_waits(known(asked, other, Observed("s", REOPENED))) == 0
    assert open_waits(judge("s", known(asked), 7 * DAY, now=8 * DAY).subject) == 0
    assert open_waits(known(Observed("s", REOPENED))) == 0


def test_nothing_bad_happened_is_judged_at_the_deadline() -> None:
    judged = judge("s", known(Asked("s", QUESTION)), 7 * DAY, now=8 * DAY)
    (fact,) = judged.facts
    assert isinstance(fact, Scored)
    assert (fact.revision.verdict.value, fact.revision.verdict.reason) == (True, "deadline")
    assert judge("s", judged.subject, 9 * DAY, now=9 * DAY).facts == ()


def test_a_deadline_in_the_future_is_left_alone() -> None:
    subject = known(Asked("s", QUESTION))
    assert judge("s", subject, 7 * DAY - 1, now=8 * DAY) == Step(subject, (), ())


def test_a_late_outcome_makes_a_second_revision() -> None:
    judged = judge("s", known(Asked("s", QUESTION)), 7 * DAY, now=8 * DAY).subject
    (fact,) = step({"s": judged}, [Observed("s", REOPENED)], 9 * DAY).facts
    assert isinstance(fact, Scored)
    assert (fact.revision.number, fact.revision.verdict.value, fact.revision.late) == (2, False, True)


def test_an_answered_question_is_kept_until_its_horizon_and_so_is_its_outcome() -> None:
    subject = known(Asked("s", QUESTION), Observed("s", REOPENED), now=2 * DAY)
    assert next_look(subject, HORIZONS) == 17 * DAY
    assert retire(subject, 16 * DAY, HORIZONS) is subject
    left = retire(subject, 17 * DAY, HORIZONS)
    assert not left.waits
    assert left.outcomes
    assert next_look(left, HORIZONS) == 32 * DAY
    assert retire(left, 32 * DAY, HORIZONS).is_empty


def test_an_old_wait_that_arrives_now_is_kept_from_its_arrival_on() -> None:
    subject = judge("s", known(Asked("s", QUESTION), now=100 * DAY), 100 * DAY, 100 * DAY).subject
    assert next_look(subject, HORIZONS) == 110 * DAY


def test_an_open_question_is_never_forgotten() -> None:
    subject = known(Asked("s", QUESTION))
    assert retire(subject, 1000 * DAY, HORIZONS) is subject

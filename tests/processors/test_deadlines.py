"""When a subject is looked at again, and what is then forgotten."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from upshot.processors.correlate.deadlines import Horizons, next_look, open_waits, retire
from upshot.processors.correlate.decide import Correlated, expire, step
from upshot.processors.correlate.facts import OutcomeReceived, ScoreRevised, WaitReceived
from upshot.processors.correlate.state import StoredMatch, StoredOutcome, StoredRule, StoredWait, Subject

DAY = 24 * 3600 * 1_000_000
HORIZONS = Horizons(look_back=timedelta(days=30), settled=timedelta(days=10), grace=timedelta(seconds=1))
QUESTION = StoredWait(
    "w", "r", "n", 0, 0, 7 * DAY, StoredRule({"reopened": StoredMatch(False)}, nothing_came=True).json
)
REOPENED = StoredOutcome(id="o", type="reopened", time=2 * DAY, arrived=2 * DAY, partition=0, offset=0)


def known(*arrivals: WaitReceived | OutcomeReceived, now: int = 0) -> Subject:
    return step({}, arrivals, now).subjects["s"]


def test_an_open_question_is_looked_at_after_its_deadline_and_grace() -> None:
    assert next_look(known(WaitReceived("s", QUESTION)), HORIZONS) == 7 * DAY + 1_000_000


def test_open_waits_are_those_without_an_answer_that_may_still_come() -> None:
    asked, other = (
        WaitReceived("s", QUESTION),
        WaitReceived("s", msgspec.structs.replace(QUESTION, wait_id="other")),
    )
    assert open_waits(known(asked, other)) == 2
    assert open_waits(known(asked, other, OutcomeReceived("s", REOPENED))) == 0
    assert open_waits(expire("s", known(asked), 7 * DAY, now=8 * DAY).subject) == 0
    assert open_waits(known(OutcomeReceived("s", REOPENED))) == 0


def test_nothing_bad_happened_is_judged_at_the_deadline() -> None:
    judged = expire("s", known(WaitReceived("s", QUESTION)), 7 * DAY, now=8 * DAY)
    (fact,) = judged.facts
    assert isinstance(fact, ScoreRevised)
    assert (fact.revision.verdict.value, fact.revision.verdict.reason) == (True, "deadline")
    assert expire("s", judged.subject, 9 * DAY, now=9 * DAY).facts == ()


def test_a_deadline_in_the_future_is_left_alone() -> None:
    subject = known(WaitReceived("s", QUESTION))
    assert expire("s", subject, 7 * DAY - 1, now=8 * DAY) == Correlated(subject, (), ())


def test_a_late_outcome_makes_a_second_revision() -> None:
    judged = expire("s", known(WaitReceived("s", QUESTION)), 7 * DAY, now=8 * DAY).subject
    (fact,) = step({"s": judged}, [OutcomeReceived("s", REOPENED)], 9 * DAY).facts
    assert isinstance(fact, ScoreRevised)
    assert (fact.revision.number, fact.revision.verdict.value, fact.revision.late) == (2, False, True)


def test_an_answered_question_is_kept_until_its_horizon_and_so_is_its_outcome() -> None:
    subject = known(WaitReceived("s", QUESTION), OutcomeReceived("s", REOPENED), now=2 * DAY)
    assert next_look(subject, HORIZONS) == 17 * DAY
    assert retire(subject, 16 * DAY, HORIZONS) is subject
    left = retire(subject, 17 * DAY, HORIZONS)
    assert not left.waits
    assert left.outcomes
    assert next_look(left, HORIZONS) == 32 * DAY
    assert retire(left, 32 * DAY, HORIZONS).is_empty


def test_an_old_wait_that_arrives_now_is_kept_from_its_arrival_on() -> None:
    subject = expire("s", known(WaitReceived("s", QUESTION), now=100 * DAY), 100 * DAY, 100 * DAY).subject
    assert next_look(subject, HORIZONS) == 110 * DAY


def test_an_open_question_is_never_forgotten() -> None:
    subject = known(WaitReceived("s", QUESTION))
    assert retire(subject, 1000 * DAY, HORIZONS) is subject

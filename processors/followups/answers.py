"""The waits of follow-ups in the form of the join, and the join's verdicts as answers."""

from __future__ import annotations

from upshot.processors.correlate.facts import ScoreRevised
from upshot.processors.correlate.state import StoredMatch, StoredRule, StoredWait, Subject
from upshot.processors.followups.execution import AnsweredBy, FollowupSpec, OpenWait, WaitAnswer
from upshot.streams.events.instants import Micros


def as_stored_wait(origin: FollowupSpec, wait: OpenWait, tolerance: Micros) -> StoredWait:
    """A wait as stored by the join, with this tolerance: the first counting event decides."""
    rule = StoredRule({kind: StoredMatch(True, when) for kind, when in wait.on.items()})
    window = wait.opened_at, wait.since, wait.deadline
    stated = tolerance if wait.tolerance is None else wait.tolerance
    about = wait.wait_id, origin.run_id, origin.scorer
    return StoredWait(*about, *window, rule.json, tolerance=stated, after=wait.after)


def answer_of(fact: ScoreRevised, subject: Subject) -> WaitAnswer:
    """The join's verdict, with the deciding event, where an event decided."""
    revision, verdict = fact.revision, fact.revision.verdict
    answering_event = None
    if verdict.reason == "outcome":
        answering_event = next(
            AnsweredBy(o.id, o.type, fact.subject, o.time, o.source, o.data_json)
            for o in subject.outcomes.values()
            if (o.id, o.time) == (verdict.outcome_id, verdict.at) and o.type in fact.wait.rule.on
        )
    return WaitAnswer(revision.number, verdict.at, answering_event, revision.late)


__all__ = ["answer_of", "as_stored_wait"]

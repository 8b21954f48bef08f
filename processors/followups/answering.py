"""The waits of follow-ups as the join knows them, and its verdicts as their answers."""

from __future__ import annotations

from upshot.processors.correlate import Scored
from upshot.processors.followups.execution import Answer, Heard, OpenWait, Origin
from upshot.processors.state import Match, Question, Rule, Subject
from upshot.streams.instants import Micros


def question_of(origin: Origin, wait: OpenWait, tolerance: Micros) -> Question:
    """A wait as the join keeps it, with this tolerance: the first event that counts decides."""
    rule = Rule({kind: Match(True, when) for kind, when in wait.on.items()})
    window = wait.opened_at, wait.since, wait.deadline
    stated = tolerance if wait.tolerance is None else wait.tolerance
    about = wait.wait_id, origin.run_id, origin.scorer
    return Question(*about, *window, rule.json, tolerance=stated, after=wait.after)


def answer_of(fact: Scored, subject: Subject) -> Answer:
    """What the join found, with the event that decided, where one did."""
    revision, verdict = fact.revision, fact.revision.verdict
    heard = None
    if verdict.reason == "outcome":
        heard = next(
            Heard(o.id, o.type, fact.subject, o.time, o.source, o.data_json)
            for o in subject.outcomes.values()
            if (o.id, o.time) == (verdict.outcome_id, verdict.at) and o.type in fact.question.rule.on
        )
    return Answer(revision.number, verdict.at, heard, revision.late)


__all__ = ["answer_of", "question_of"]

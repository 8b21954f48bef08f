"""One subject: its outcomes, waits and scores; and which thing an id names."""

from __future__ import annotations

from typing import NamedTuple

from upshot.insights.pages.query import PageQuery
from upshot.insights.pages.waits import is_pending
from upshot.insights.reader import Reader

#: Waits, and revisions of scores, of one subject that a page shows.
MOST = 500


def subject_waits(subject: str) -> PageQuery:
    """Every wait about a subject, the latest first."""
    return PageQuery(
        f"""\
SELECT wait_id, run_id, step_id, name, agent, mode, rule, outcome_types, opened_at, since, deadline,
       cancelled_at, recorded_at, {is_pending("subject = {subject:String}")} AS is_pending
FROM waits
WHERE subject = {{subject:String}} AND reply_to = ''
ORDER BY opened_at DESC, wait_id""",
        {"subject": subject},
    )


def subject_outcomes(subject: str) -> PageQuery:
    """Every outcome of a subject, the latest first."""
    return PageQuery(
        "SELECT time, type, source, id, substring(data, 1, 1000) AS data, recorded_at\nFROM outcomes\n"
        "WHERE subject = {subject:String}\nORDER BY time DESC, id",
        {"subject": subject},
    )


def subject_scores(subject: str) -> PageQuery:
    """Every revision of every score about a subject, the latest first."""
    return PageQuery(
        "SELECT score_id, run_id, name, revision, value, kind, reason, late, decided_at, occurred_at,\n"
        "    wait_id, outcome_id\nFROM scores\nWHERE subject = {subject:String}\n"
        "ORDER BY decided_at DESC, score_id, revision DESC",
        {"subject": subject},
    )


def nearest_subjects(reader: Reader, text: str) -> list[str]:
    """Subjects of outcomes and waits that look like this text."""
    rows = reader.query(
        """\
SELECT subject
FROM
(
    SELECT DISTINCT subject FROM
    (
        SELECT subject FROM raw_subjects_seen WHERE startsWith(subject, {start:String}) LIMIT 2000
        UNION ALL
        SELECT subject FROM raw_subjects_seen WHERE positionCaseInsensitiveUTF8(subject, {text:String}) > 0
            LIMIT 500
    )
)
WHERE subject != {text:String}
ORDER BY ngramDistance(subject, {text:String}), subject
LIMIT 8""".replace("raw_subjects_seen", "(SELECT subject FROM outcomes UNION ALL SELECT subject FROM waits)"),
        {"text": text[:200], "start": text[: max(2, len(text) // 2)][:100]},
    ).rows
    return [row[0] for row in rows]


class Identified(NamedTuple):
    """A thing with the wanted id."""

    kind: str
    #: The run, subject, dead letter, experiment or alert whose page shows the thing.
    about: str
    #: The step, where the thing is one.
    step_id: str = ""


_ANY = """\
SELECT * FROM
(
    SELECT 'run' AS kind, run_id AS about, '' AS step_id, 0 AS place FROM runs WHERE run_id = {id:String}
    UNION ALL SELECT 'subject', subject, '', 1 FROM outcomes WHERE subject = {id:String} LIMIT 1
    UNION ALL SELECT 'subject', subject, '', 1 FROM waits WHERE subject = {id:String} LIMIT 1
    UNION ALL SELECT 'step', run_id, step_id, 2 FROM steps WHERE step_id = {id:String} LIMIT 5
    UNION ALL SELECT 'score', run_id, '', 3 FROM scores WHERE score_id = {id:String} OR run_id =
        {id:String} LIMIT 1
    UNION ALL SELECT 'wait', run_id, '', 4 FROM waits WHERE wait_id = {id:String} OR run_id = {id:String}
        LIMIT 5
    UNION ALL SELECT 'outcome', subject, '', 5 FROM outcomes WHERE id = {id:String} LIMIT 5
    UNION ALL SELECT 'dead letter', dead_letter_id, '', 6 FROM dead_letters WHERE dead_letter_id =
        {id:String} LIMIT 1
    UNION ALL SELECT 'session', run_id, '', 7 FROM runs WHERE session_id = {id:String} LIMIT 5
    UNION ALL SELECT 'experiment', toString(experiment), '', 8 FROM experiments WHERE experiment = {id:String}
    UNION ALL SELECT 'follow-up', run_id, '', 9 FROM current_followups WHERE followup_id = {id:String} LIMIT 1
    UNION ALL SELECT 'alert', alert_id, '', 10 FROM alert_states WHERE alert_id = {id:String}
    UNION ALL SELECT 'notice', alert_id, '', 11 FROM notices WHERE notice_id = {id:String} LIMIT 1
)
ORDER BY place, about
LIMIT 12"""


def find_any(reader: Reader, ident: str) -> list[Identified]:
    """Everything with this id, the likeliest first."""
    rows = reader.query(_ANY, {"id": ident}).rows
    return list(dict.fromkeys(Identified(kind, about, step) for kind, about, step, _ in rows))


__all__ = [
    "MOST",
    "Identified",
    "find_any",
    "nearest_subjects",
    "subject_outcomes",
    "subject_scores",
    "subject_waits",
]

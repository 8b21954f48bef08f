"""One subject: its outcomes, waits and scores; and which thing an id names."""

from __future__ import annotations

from collections.abc import Sequence
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


def is_still_pending(reader: Reader, subject: str, wait_id: str) -> bool:
    """Whether a wait about the subject awaits its answer."""
    waits = subject_waits(subject)
    rows = reader.query(
        f"SELECT 1 FROM\n(\n{waits.sql}\n)\nWHERE wait_id = {{wait_id:String}} AND is_pending LIMIT 1",
        {**waits.parameters, "wait_id": wait_id},
    ).rows
    return bool(rows)


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
        "    wait_id, outcome_id\nFROM score_revisions\n"
        "WHERE score_id IN (SELECT score_id FROM scored_subjects WHERE subject = {subject:String})\n"
        "    AND subject = {subject:String}\nORDER BY decided_at DESC, score_id, revision DESC",
        {"subject": subject},
    )


def nearest_subjects(reader: Reader, text: str) -> list[str]:
    """Subjects of outcomes and waits that look like this text: they begin alike, or contain it.

    Among many, only the first `CONTAINING` are searched for what contains the text: no index finds these.
    """
    return _nearest(reader, text, _NEAREST_SUBJECTS)


def nearest_runs(reader: Reader, text: str) -> list[str]:
    """Ids of runs that look like this text, as `nearest_subjects` finds subjects."""
    return _nearest(reader, text, _NEAREST_RUNS)


def _nearest(reader: Reader, text: str, sql: str) -> list[str]:
    start = text[: max(2, len(text) // 2)][:100]
    return [row[0] for row in reader.query(sql, {"text": text[:200], "start": start}).rows]


#: Rows that are searched for names which contain a text.
CONTAINING = 500_000


def _looking_alike(column: str, sources: Sequence[str]) -> str:
    parts = "\n    UNION ALL\n".join(
        f"""\
    (SELECT {column} FROM {source} WHERE startsWith({column}, {{start:String}}) LIMIT 2000)
    UNION ALL
    (
        SELECT {column} FROM (SELECT {column} FROM {source} LIMIT {CONTAINING})
        WHERE positionCaseInsensitiveUTF8({column}, {{text:String}}) > 0 LIMIT 500
    )"""
        for source in sources
    )
    return f"""\
SELECT DISTINCT {column}
FROM
(
{parts}
)
WHERE {column} != {{text:String}}
ORDER BY ngramDistance({column}, {{text:String}}), {column}
LIMIT 8"""


_NEAREST_SUBJECTS = _looking_alike("subject", ("outcomes", "waited_subjects"))
_NEAREST_RUNS = _looking_alike("run_id", ("run_outlines",))


class Identified(NamedTuple):
    """A thing with the wanted id."""

    kind: str
    #: The run, subject, dead letter, experiment or alert whose page shows the thing.
    about: str
    #: The step, where the thing is one.
    step_id: str = ""


#: Each is found by an index; the sessions are those of the runs' rows.
_ANY = """\
SELECT * FROM
(
    SELECT 'run' AS kind, run_id AS about, '' AS step_id, 0 AS place FROM run_outlines
        WHERE run_id = {id:String}
    UNION ALL SELECT 'subject', subject, '', 1 FROM outcomes WHERE subject = {id:String} LIMIT 1
    UNION ALL SELECT 'subject', subject, '', 1 FROM waited_subjects WHERE subject = {id:String} LIMIT 1
    UNION ALL SELECT 'step', run_id, step_id, 2 FROM step_outlines WHERE step_id = {id:String} LIMIT 5
    UNION ALL SELECT 'score', run_id, '', 3 FROM scored_subjects WHERE score_id = {id:String} LIMIT 1
    UNION ALL SELECT 'score', run_id, '', 3 FROM scored_subjects WHERE run_id = {id:String} LIMIT 1
    UNION ALL SELECT 'wait', run_id, '', 4 FROM wait_outlines WHERE wait_id = {id:String} LIMIT 5
    UNION ALL SELECT 'wait', run_id, '', 4 FROM waited_subjects WHERE run_id = {id:String} LIMIT 1
    UNION ALL SELECT 'outcome', subject, '', 5 FROM outcomes WHERE id = {id:String} LIMIT 5
    UNION ALL SELECT 'dead letter', dead_letter_id, '', 6 FROM dead_letters
        WHERE dead_letter_id = {id:String} LIMIT 1
    UNION ALL SELECT 'session', run_id, '', 7 FROM scored_runs WHERE session_id = {id:String} LIMIT 5
    UNION ALL SELECT 'experiment', toString(experiment), '', 8 FROM experiments WHERE experiment = {id:String}
    UNION ALL SELECT 'follow-up', run_id, '', 9 FROM current_followups WHERE followup_id = {id:String} LIMIT 1
    UNION ALL SELECT 'alert', alert_id, '', 10 FROM alert_states WHERE alert_id = {id:String}
    UNION ALL SELECT 'notice', alert_id, '', 11 FROM notices WHERE notice_id = {id:String} LIMIT 1
)
ORDER BY place, about
LIMIT 12"""


def any_query(ident: str) -> PageQuery:
    """Everything with this id, the likeliest first, as the fields of `Identified` and a place."""
    return PageQuery(_ANY, {"id": ident})


def find_any(reader: Reader, ident: str) -> list[Identified]:
    """Everything with this id, the likeliest first."""
    query = any_query(ident)
    rows = reader.query(query.sql, query.parameters).rows
    return list(dict.fromkeys(Identified(kind, about, step) for kind, about, step, _ in rows))


__all__ = [
    "MOST",
    "Identified",
    "any_query",
    "find_any",
    "is_still_pending",
    "nearest_runs",
    "nearest_subjects",
    "subject_outcomes",
    "subject_scores",
    "subject_waits",
]

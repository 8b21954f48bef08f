"""One run: its steps without payloads, its scores with every revision, and what happened after its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from upshot.insights.pages.query import IDS, PageQuery, Row, ids_of
from upshot.insights.pages.waits import is_pending
from upshot.insights.reader import Reader

#: Characters of one payload that a page shows.
PAYLOAD_SHOWN = 64 * 1024
#: Waits of a run, revisions of its scores and outcomes of its subjects that a page shows; exposures and
#: follow-ups.
MOST, MOST_EXPOSURES = 1_000, 100


def run_row(reader: Reader, run_id: str) -> Row | None:
    """The run without input and output; None while no event about the run has arrived."""
    rows = (
        reader.by_key()
        .query(
            "SELECT run_id, agent, version, status, started_at, ended_at, session_id, parent_run_id, origin, "
            "substring(error, 1, 4000) AS error, attributes, recorded_at FROM runs "
            "WHERE run_id = {run_id:String}",
            {"run_id": run_id},
        )
        .objects()
    )
    return rows[0] if rows else None


def run_payload(reader: Reader, run_id: str) -> Row | None:
    """Input and output of the run, cut."""
    sql = _payload("runs WHERE run_id = {run_id:String}")
    rows = reader.by_key().query(sql, {"run_id": run_id}).objects()
    return rows[0] if rows else None


def step_payload(reader: Reader, run_id: str, step_id: str) -> Row | None:
    """One step with its payloads, cut; of several attempts the last."""
    rows = (
        reader.by_key()
        .query(
            _payload(
                "steps WHERE run_id = {run_id:String} AND step_id = {step_id:String} ORDER BY attempt DESC "
                "LIMIT 1",
                "step_id, attempt, name, kind, status, started_at, ended_at, provider, model, input_tokens, "
                "output_tokens, cached_input_tokens, cost_usd, attributes, "
                "substring(error, 1, 4000) AS error, ",
            ),
            {"run_id": run_id, "step_id": step_id},
        )
        .objects()
    )
    return rows[0] if rows else None


def _payload(source: str, columns: str = "") -> str:
    return (
        f"SELECT run_id, {columns}substringUTF8(input, 1, {PAYLOAD_SHOWN}) AS shown_input, length(input) AS "
        "input_bytes, "
        f"substringUTF8(output, 1, {PAYLOAD_SHOWN}) AS shown_output, length(output) AS output_bytes FROM "
        f"{source}"
    )


_IN_ORDER = "ORDER BY started_at NULLS LAST, step_id, attempt"
_STEPS = (
    """\
SELECT step_id, attempt, parent_step_id, name, kind, status, started_at, ended_at, model, input_tokens,
       output_tokens, cost_usd, substring(error, 1, 300) AS error
FROM %s
WHERE run_id = {run_id:String}
"""
    + _IN_ORDER
)


def steps_query(run_id: str) -> PageQuery:
    """All steps of a run in the order of their starts, without payloads."""
    return PageQuery(_STEPS % "steps", {"run_id": run_id})


#: Steps as the view `steps` has them where no step says the usage of another one.
_OUTLINES = """\
(
    SELECT *, reported_input_tokens AS input_tokens,
        reported_output_tokens AS output_tokens, reported_cost_usd AS cost_usd
    FROM step_outlines
)"""
#: Whether a step may say the usage of another one, which needs a step with usage around another step, one id
#: of two answers, or two tellers of equal tokens. Where not, `repeated_usage` has no step of the run.
_MAY_REPEAT = """\
countIf(reports_usage) > 1 AND
(
    hasAny(groupArrayIf(step_id, reports_usage), groupUniqArray(ifNull(parent_step_id, '')))
    OR countIf(reports_usage AND response_id != '')
        > uniqExactIf(response_id, reports_usage AND response_id != '')
    OR
    (
        uniqExactIf((instrumentation, name), reports_usage) > 1
        AND countIf(input_tokens > 0 OR output_tokens > 0)
            > uniqExactIf((input_tokens, output_tokens), input_tokens > 0 OR output_tokens > 0)
    )
)"""
#: Sums over all steps of a run.
_TOTALS = {
    "steps": "count()",
    "input_tokens": "sum(ifNull(input_tokens, 0))",
    "output_tokens": "sum(ifNull(output_tokens, 0))",
    "cost_usd": "sum(cost_usd)",
    "failed": "countIf(status = 'error')",
    "first_at": "min(started_at)",
    "last_at": "max(ended_at)",
}


def steps_after(reader: Reader, run_id: str, skip: int, count: int) -> tuple[list[Row], Row]:
    """One screen of steps, and the sums of all.

    Usage counts as in the view `steps`. ClickHouse needs longer to plan that view than to read it, and is
    asked for it only where a step may say the usage of another one.
    """
    parameters = {"run_id": run_id, "count": count, "skip": skip}
    screen = "LIMIT {count:UInt32} OFFSET {skip:UInt32}"
    totals = _totals(reader, run_id, _OUTLINES, f", {_MAY_REPEAT} AS may_repeat")
    if not totals.pop("may_repeat"):
        return reader.query(f"{_STEPS % _OUTLINES}\n{screen}", parameters).objects(), totals
    over = ", ".join(f"{sum_} OVER () AS total_{name}" for name, sum_ in _TOTALS.items())
    rows = reader.query(
        f"SELECT *, {over} FROM\n(\n{_STEPS % 'steps'}\n)\n{_IN_ORDER}\n{screen}", parameters
    ).objects()
    sums = [{name: row.pop(f"total_{name}") for name in _TOTALS} for row in rows]
    return rows, sums[0] if sums else _totals(reader, run_id, "steps")


def _totals(reader: Reader, run_id: str, source: str, more: str = "") -> Row:
    sums = ", ".join(f"{sum_} AS total_{name}" for name, sum_ in _TOTALS.items())
    sql = f"SELECT {sums}{more} FROM {source} WHERE run_id = {{run_id:String}}"
    [found] = reader.query(sql, {"run_id": run_id}).objects()
    return {name.removeprefix("total_"): value for name, value in found.items()}


def revisions_query(run_id: str) -> PageQuery:
    """Every revision of every score of a run."""
    return PageQuery(
        """\
SELECT score_id, name, step_id, revision, value, kind, reason, late, decided_at, occurred_at, subject,
    wait_id,
       outcome_id, source, substring(comment, 1, 1000) AS comment
FROM score_revisions
WHERE score_id IN (SELECT score_id FROM scored_subjects WHERE run_id = {run_id:String})
    AND run_id = {run_id:String}
ORDER BY name, score_id, revision""",
        {"run_id": run_id},
    )


#: The subjects of the run are looked up once; a set of them serves a run with very many waits.
_ASKED = "subject IN (SELECT arrayJoin(asked))"


def waits_query(run_id: str) -> PageQuery:
    """The waits of a run, the next deadline first, with whether an answer is still to come."""
    return PageQuery(
        f"""\
WITH (SELECT groupUniqArray(subject) FROM waited_subjects WHERE run_id = {{run_id:String}}) AS asked
SELECT wait_id, step_id, name, subject, mode, rule, outcome_types, opened_at, since, deadline, cancelled_at,
       {is_pending(_ASKED)} AS is_pending
FROM waits
WHERE {_ASKED} AND run_id = {{run_id:String}} AND reply_to = ''
ORDER BY deadline, name, wait_id""",
        {"run_id": run_id},
    )


def followups_query(run_id: str) -> PageQuery:
    """Follow-ups of a run that aren't done."""
    return PageQuery(
        "SELECT followup_id, name, status, subject, opened_at, deadline, overdue\nFROM followup_outlines\n"
        "WHERE run_id = {run_id:String}\nORDER BY opened_at, followup_id",
        {"run_id": run_id},
    )


def failures_of(reader: Reader, followup_ids: Sequence[str]) -> dict[str, str]:
    """Why these follow-ups failed, by their ids; texts are cut."""
    rows = reader.query(
        "SELECT followup_id, substring(error, 1, 4000) FROM current_followups WHERE followup_id IN " + IDS,
        {"ids": ids_of(followup_ids)},
    ).rows
    return {str(followup_id): str(error) for followup_id, error in rows}


def outcomes_query(subjects: Iterable[str]) -> PageQuery:
    """Outcomes of these subjects, in order of time."""
    return PageQuery(
        "SELECT subject, source, id, type, time, substring(data, 1, 1000) AS data, recorded_at\n"
        f"FROM outcomes\nWHERE subject IN {IDS}\nORDER BY time, id",
        {"ids": ids_of(subjects)},
    )


def exposures_query(run_id: str) -> PageQuery:
    """The variants that a run was given."""
    return PageQuery(
        "SELECT experiment, variant, phase, probability, unit, strategy, exposed_at FROM exposures\n"
        "WHERE run_id = {run_id:String}\nORDER BY exposed_at, experiment",
        {"run_id": run_id},
    )


__all__ = [
    "MOST",
    "MOST_EXPOSURES",
    "PAYLOAD_SHOWN",
    "exposures_query",
    "failures_of",
    "followups_query",
    "outcomes_query",
    "revisions_query",
    "run_payload",
    "run_row",
    "step_payload",
    "steps_after",
    "steps_query",
    "waits_query",
]

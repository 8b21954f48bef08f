"""SQL of the rows by experiment: exposures, each with what was known of its run's scores at any instant."""

from __future__ import annotations

from functools import cache

from upshot.processors.store.migrate import select_of

#: What the view `run_answers` reads, of the runs of the batch that are exposed.
_SOURCES = """WITH
    stated AS
    (
        SELECT
            home.run_id AS known_run, toString(told.name) AS name, told.score_id AS score_id,
            told.precedence AS precedence, told.recorded_at AS recorded_at, told.value AS value,
            told.occurred_at AS occurred_at, told.decided_at AS decided_at, toString(told.reason) AS reason,
            if(told.reason = 'given', told.place, told.revision) > 1 AS revised
        FROM
        (
            SELECT *, row_number() OVER (PARTITION BY run_id, score_id ORDER BY precedence) AS place
            FROM revisions
        ) AS told
        INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = told.run_id
        WHERE told.step_id IS NULL AND home.run_id IN (SELECT run_id FROM exposed)
    ),
    waited AS
    (
        SELECT home.run_id AS known_run, toString(told.name) AS name, min(told.recorded_at) AS recorded_at
        FROM asked AS told
        INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = told.run_id
        WHERE home.run_id IN (SELECT run_id FROM exposed)
        GROUP BY known_run, name
    ),
    facts AS
"""

#: Every revision of the scores of exposed runs.
REVISIONS = """
SELECT
    run_id, score_id, name, step_id, value, revision, reason, occurred_at, decided_at, recorded_at, precedence
FROM {revisions}
WHERE run_id IN (SELECT fact_run FROM homes WHERE now AND run_id IN (SELECT run_id FROM exposed))"""

#: A clock of whole seconds can date an outcome up to a second before the exposure that it followed.
EXPOSURE_ROWS = """
SELECT
    exposed.experiment AS experiment, batch.place AS started_at,
    exposed.exposure_key, batch.run_id AS run_id, exposed.variant, exposed.phase, exposed.probability,
    if(exposed.unit = batch.run_id, '', exposed.unit) AS unit, sipHash64(exposed.unit) AS unit_key,
    bitShiftLeft(toUInt64(toUnixTimestamp64Micro(exposed.at) + 2208988800000000), 11)
        + bitAnd(cityHash64(exposed.run_id, exposed.variant, exposed.phase), 2047) AS place,
    exposed.strategy, exposed.exposed_at, exposed.recorded_at, exposed.carried,
    run.run_id != '' AS run_known, run.agent, run.version, run.status,
    if(run.origin = '', 'live', run.origin) AS origin, run.model, run.latency_seconds, used.steps,
    used.input_tokens, used.output_tokens, used.cost_usd, run.attributes,
    mapFromArrays(
        (arrayFilter(fact -> fact.2 <= exposed.at + toIntervalSecond(1), numbers.facts) AS earlier).1,
        earlier.3
    ) AS earlier_numbers,
    waiting.subjects, history.answers.name AS answer_names, history.answers.began AS answer_began,
    history.answers.ended AS answer_ended, history.answers.value AS answer_values,
    arrayMap(
        answer -> multiIf(
            ifNull(answer.occurred_at, exposed.at) < exposed.at - toIntervalSecond(1), 'before_exposure',
            answer.value IS NOT NULL, if(answer.reason = 'deadline', 'deadline', 'outcome'),
            answer.expired, 'expired', 'open'
        ),
        history.answers
    ) AS answer_causes,
    if(
        arrayExists(answer -> answer.revised != 0, history.answers),
        arrayMap(answer -> if(answer.revised, answer.decided_at, toDateTime64(0, 6, 'UTC')), history.answers),
        []
    ) AS answer_revised_at,
    arrayMap(
        (answer, cause) -> if(
            cause = 'outcome', ifNull(answer.occurred_at, toDateTime64(0, 6, 'UTC')),
            toDateTime64(0, 6, 'UTC')
        ),
        history.answers, answer_causes
    ) AS answer_occurred_at,
    scored.triples.1 AS score_names, scored.triples.2 AS score_kinds,
    scored.triples.3 AS score_values, batch.version AS row_version, 0 AS gone
FROM (SELECT *, least(exposed_at, recorded_at) AS at FROM exposed) AS exposed
INNER JOIN batch ON batch.run_id = exposed.run_id
LEFT ANY JOIN known AS run ON run.run_id = exposed.run_id
LEFT ANY JOIN usage AS used ON used.run_id = exposed.run_id
LEFT ANY JOIN nested AS scored ON scored.run_id = exposed.run_id
LEFT ANY JOIN answered AS history ON history.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT home.run_id AS run_id, arraySort(groupUniqArray(sipHash64(asked.subject))) AS subjects
    FROM asked
    INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = asked.run_id
    GROUP BY run_id
) AS waiting ON waiting.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT run_id, arraySort(groupArray((toString(name), at, number))) AS facts
    FROM
    (
        SELECT run_id, name, tupleElement(min(first) AS earliest, 1) AS at,
            tupleElement(earliest, 2) AS number
        FROM raw_first_numbers
        PREWHERE run_id IN (SELECT run_id FROM exposed)
        GROUP BY run_id, name
    )
    GROUP BY run_id
) AS numbers ON numbers.run_id = exposed.run_id"""


@cache
def answers_sql() -> str:
    """The rows of the view `run_answers` for the runs of the batch that are exposed."""
    _, _, facts = select_of("run_answers").partition("\n    facts AS\n")
    return _SOURCES + facts


__all__ = ["EXPOSURE_ROWS", "REVISIONS", "answers_sql"]

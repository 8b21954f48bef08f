"""SQL that reads the facts of a batch of runs into temporary tables, and the complete rows out of these.

The rows equal those of the exact views (`exact_runs`, `exact_score_rows`, `exact_exposure_rows`,
`exact_open_waits`), which read everything; here every read is bound to the runs of the batch. `batch` has the
runs with their claims, `homes` the ids under which facts about these runs were written, and `scope` the runs
whose waits and scores decide about theirs: themselves, and runs that say one of their ids.
"""

from __future__ import annotations

from functools import cache

from upshot.processors.materialize.answers import EXPOSURE_ROWS, REVISIONS
from upshot.processors.store.migrate import select_of

_UNKNOWN = "toDateTime64(0, 6, 'UTC')"
_IN_BATCH = "run_id IN (SELECT run_id FROM batch)"

#: The register `started_at` of a run; 1970 where nobody has said it.
STARTED = (
    f"if(toUnixTimestamp64Micro(tupleElement(started_at, 1)) = 0, {_UNKNOWN}, tupleElement(started_at, 2))"
)

_OF_HOMES = "run_id IN (SELECT fact_run FROM homes)"

_STEPS = f"""
SELECT
    home.run_id AS run_id, step_id, attempt, parent_step_id, name, instrumentation, response_id, model,
    input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens,
    cost_usd, started_at, ended_at, status
FROM (SELECT * FROM raw_steps FINAL PREWHERE {_OF_HOMES}) AS step
INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = step.run_id"""

#: Traces whose root says another run id, of the runs of the batch.
_ALIASES = f"""
SELECT run_id, known_as
FROM raw_run_aliases FINAL
WHERE {_IN_BATCH} OR run_id IN (SELECT other FROM raw_alias_pairs PREWHERE {_IN_BATCH} WHERE of_trace)"""

#: By run of the batch: the ids whose facts stand under it `now`, or stood there once.
_HOMES = f"""
SELECT run_id AS fact_run, run_id, run_id NOT IN (SELECT run_id FROM aliases WHERE known_as != '') AS now
FROM batch
UNION ALL
SELECT other, run_id, (other, run_id) IN (SELECT run_id, known_as FROM aliases)
FROM raw_alias_pairs
PREWHERE {_IN_BATCH}
WHERE of_trace
GROUP BY other, run_id"""

_RUNS = f"""
SELECT
    run.run_id AS run_id,
    {STARTED.replace("started_at", "run.started_at")} AS began,
    if(toUnixTimestamp64Micro(tupleElement(run.started_at, 1)) = 0, NULL, tupleElement(run.started_at, 2))
        AS started,
    if(toUnixTimestamp64Micro(tupleElement(run.ended_at, 1)) = 0, NULL, tupleElement(run.ended_at, 2))
        AS ended,
    (toUnixTimestamp64Micro(ended) - toUnixTimestamp64Micro(started)) / 1e6 AS latency_seconds,
    tupleElement(run.agent, 2) AS agent,
    tupleElement(run.version, 2) AS version,
    tupleElement(run.status, 3) AS status,
    tupleElement(run.session_id, 2) AS session_id,
    tupleElement(run.parent_run_id, 2) AS parent_run_id,
    if(tupleElement(run.origin, 2) = '', 'live', tupleElement(run.origin, 2)) AS origin,
    tupleElement(run.error, 2) AS error,
    run.recorded_at AS recorded_at,
    mapApply((name, fact) -> (name, tupleElement(fact, 2)), run.attributes) AS attributes,
    used.model AS model, used.models AS models, used.steps AS steps, used.failed_steps AS failed_steps,
    used.input_tokens AS input_tokens, used.output_tokens AS output_tokens, used.cost_usd AS cost_usd
FROM
(
    SELECT * FROM {{runs}}
    WHERE run_id NOT IN (SELECT run_id FROM aliases)
) AS run
LEFT ANY JOIN usage AS used ON used.run_id = run.run_id"""

#: The keys of all scores and waits, read before these: what has no key yet is left out, since whoever takes
#: rows away knows them by their keys; a note follows the key.
_KEYS = """
SELECT run_id, toString(kind) AS kind, toString(name) AS name, deadline, key, fact, given
FROM raw_keys_by_run
PREWHERE run_id IN (SELECT run_id FROM scope)"""

#: Of each score the latest revision, under both kinds where it has no value.
_LATEST = """
SELECT *
FROM {latest}
WHERE (run_id, toString(kind), toString(name), sipHash64(score_id)) IN
    (SELECT run_id, kind, name, key FROM keys)"""

_FACTS = """
SELECT key, as_kind, uniqExact(fact) AS facts, max(given) AS was_given
FROM keys
ARRAY JOIN if(kind = '', ['number', 'boolean'], [kind]) AS as_kind
WHERE kind != 'wait'
GROUP BY key, as_kind
HAVING facts > 1 AND was_given"""

#: Every exposure that any of them was written with, recorded or carried by waits and scores.
_EXPOSURE_FACTS = f"""
SELECT
    run_id AS fact_run, toString(experiment) AS experiment, toString(variant) AS variant,
    toString(phase) AS phase, CAST(probability, 'Nullable(Float64)') AS probability, unit,
    toString(strategy) AS strategy, exposed_at, recorded_at, false AS carried,
    sipHash64('recorded', run_id, exposure_id) AS exposure_key
FROM raw_exposures FINAL
PREWHERE {_OF_HOMES}
UNION ALL
SELECT
    run_id, toString(experiment), toString(variant), toString(phase), probability, '', '', min(first_at),
    min(first_at), true,
    sipHash64('carried', variant, phase, ifNull(toString(probability), ''))
FROM raw_carried_exposures
PREWHERE {_OF_HOMES}
GROUP BY run_id, experiment, variant, phase, probability"""

#: The exposures of the runs of the batch: what is recorded comes before what is carried.
_EXPOSED = """
WITH here AS
(
    SELECT home.run_id AS run_id, if(fact.unit = fact.fact_run, home.run_id, fact.unit) AS unit,
        fact.* EXCEPT (fact_run, unit)
    FROM exposure_facts AS fact
    INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = fact.fact_run
)
SELECT
    run_id, experiment, variant, phase, probability, unit, strategy, exposed_at, recorded_at, carried,
    exposure_key
FROM here WHERE NOT carried
UNION ALL
SELECT
    run_id, experiment, variant, phase, probability, run_id AS unit, '' AS strategy, min(here.exposed_at),
    min(here.recorded_at), true, exposure_key
FROM here
WHERE carried AND (run_id, experiment) NOT IN (SELECT run_id, experiment FROM here WHERE NOT carried)
GROUP BY run_id, experiment, variant, phase, probability, exposure_key"""

_KNOWN_WAITS = """
SELECT
    run_id, subject, wait_id, step_id, name, agent, mode, opened_at, deadline, attributes, reply_to,
    revision, recorded_at, sipHash64(subject, wait_id) AS wait_key
FROM {waits}
WHERE (run_id, deadline, wait_key) IN (SELECT run_id, deadline, key FROM keys WHERE kind = 'wait')"""

#: Whether an answer to a wait is still to come.
_WAITS = """
WITH
    ended AS
    (
        SELECT subject, id, argMax((revision, cancelled_at), revision) AS cancelled
        FROM raw_cancellations FINAL
        WHERE topic = 'waits' AND asker = '' AND (subject, id) IN (SELECT subject, wait_id FROM known_waits)
        GROUP BY subject, id
    )
SELECT
    wait.*,
    (subject, wait_id) IN
        (
            SELECT subject, wait_id FROM latest
            WHERE wait_id != '' AND (value IS NOT NULL OR reason = 'expired')
        ) AS answered,
    ifNull(ended.id, '') != '' AND ended.cancelled.1 >= wait.revision
        AND ended.cancelled.2 <= wait.deadline AS withdrawn,
    reply_to = '' AND NOT withdrawn AND (NOT answered OR mode IN ('last', 'count', 'sum')) AS open
FROM known_waits AS wait
LEFT ANY JOIN ended ON ended.subject = wait.subject AND ended.id = wait.wait_id"""

#: The current scores of the runs of the batch, whichever id they were written under.
_CURRENT = """
SELECT home.run_id AS run_id, score.* EXCEPT run_id
FROM latest AS score
INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = score.run_id
WHERE score.value IS NOT NULL"""

_NESTED = """
SELECT run_id, arraySort(groupArray((toString(name), toString(kind), assumeNotNull(value)))) AS triples
FROM current
GROUP BY run_id"""

#: The scores of one name and kind of a run, the highest first, where there are several.
_SEVERAL = """
SELECT run_id, name, kind, arraySort(groupArray((-assumeNotNull(value), score_id))) AS ordered
FROM current
WHERE run_id IN
(
    SELECT run_id FROM nested
    WHERE length(triples) > length(arrayDistinct(arrayMap(one -> (one.1, one.2), triples)))
)
GROUP BY run_id, name, kind"""

_RUN_ROWS = """
SELECT
    batch.run_id AS run_id, batch.place AS started_at, run.ended AS ended_at,
    run.latency_seconds, run.agent, run.version, run.status, run.session_id, run.parent_run_id, run.origin,
    run.error, run.recorded_at, run.attributes, run.model, run.models, run.steps, run.failed_steps,
    run.input_tokens, run.output_tokens, run.cost_usd, exposed.pairs.1 AS experiments,
    exposed.pairs.2 AS variants,
    scored.triples.1 AS score_names, scored.triples.2 AS score_kinds, scored.triples.3 AS score_values,
    batch.version AS row_version, 0 AS gone
FROM batch
INNER JOIN known AS run ON run.run_id = batch.run_id
LEFT ANY JOIN
(
    SELECT run_id, arraySort(groupArray((experiment, variant))) AS pairs FROM exposed GROUP BY run_id
) AS exposed ON exposed.run_id = batch.run_id
LEFT ANY JOIN nested AS scored ON scored.run_id = batch.run_id"""

_EXPERIMENTS = "Array(Tuple(experiment String, variant String, phase String, probability Float64))"
_SCORE_ROWS = f"""
SELECT
    score.name AS name, batch.place AS started_at,
    toUInt32(sipHash64(score.score_id) % 4294967296) AS score_key,
    score.score_id AS score_id, batch.run_id AS run_id, score.step_id, assumeNotNull(score.value) AS value,
    score.kind,
    if(score.reason = 'given', greatest(ifNull(given.facts, 1), 1), score.revision) AS revision,
    score.reason, score.late, score.subject, score.outcome_id, score.occurred_at,
    score.decided_at, if(score.agent != '', toString(score.agent), run.agent) AS agent,
    run.run_id != '' AS run_known, run.version, run.status, run.session_id,
    if(run.origin = '', 'live', run.origin) AS origin,
    if(wait.wait_id = '', NULL, wait.opened_at) AS wait_opened_at,
    if(wait.wait_id = '', NULL, wait.deadline) AS wait_deadline, run.model,
    toInt64(round(run.latency_seconds * 1e6)) AS latency_micros, run.cost_usd,
    mapUpdate(CAST(score.attributes, 'Map(String, String)'), run.attributes) AS attributes,
    CAST(
        arraySort(
            arrayConcat(
                score.exposures,
                arrayFilter(
                    recorded -> NOT arrayExists(carried -> carried.experiment = recorded.1, score.exposures),
                    exposed.recorded
                )
            )
        ),
        '{_EXPERIMENTS}'
    ) AS exposures,
    toUInt64(greatest(1, indexOf(several.ordered, (-assumeNotNull(score.value), score.score_id)))) AS place,
    batch.version AS row_version, 0 AS gone
FROM current AS score
INNER JOIN batch ON batch.run_id = score.run_id
LEFT ANY JOIN known AS run ON run.run_id = score.run_id
LEFT ANY JOIN (SELECT * FROM asked WHERE wait_id != '') AS wait
    ON wait.subject = score.subject AND wait.wait_id = score.wait_id
LEFT ANY JOIN given ON given.key = sipHash64(score.score_id) AND given.as_kind = score.as_kind
LEFT ANY JOIN
(
    SELECT run_id, groupArray((experiment, variant, phase, ifNull(probability, 0))) AS recorded
    FROM exposed WHERE NOT carried GROUP BY run_id
) AS exposed ON exposed.run_id = score.run_id
LEFT ANY JOIN several
    ON several.run_id = score.run_id AND several.name = score.name AND several.kind = score.kind"""

_WAIT_ROWS = """
SELECT
    wait.deadline AS deadline, wait.wait_key AS wait_key, wait.subject AS subject, wait.wait_id AS wait_id,
    batch.run_id AS run_id, wait.step_id, wait.name,
    if(wait.agent != '', toString(wait.agent), run.agent) AS agent, wait.mode, wait.opened_at,
    wait.answered, if(run.origin = '', 'live', run.origin) AS origin,
    mapUpdate(CAST(wait.attributes, 'Map(String, String)'), run.attributes) AS attributes,
    batch.version AS row_version, 0 AS gone
FROM
(
    SELECT home.run_id AS run_id, asked.* EXCEPT run_id
    FROM asked
    INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = asked.run_id
    WHERE asked.open
) AS wait
INNER JOIN batch ON batch.run_id = wait.run_id
LEFT ANY JOIN known AS run ON run.run_id = wait.run_id"""

#: Keys under which rows of a run may stand that are not among the rows written now: at the places of other
#: claims all of its keys, at its own place the keys without a row.
_ELSEWHERE = "SELECT run_id, version, arrayJoin(others) AS place, false AS here FROM batch"
_PLACES = f"{_ELSEWHERE} UNION ALL SELECT run_id, version, place, true FROM batch WHERE NOT fresh"
_GONE_RUNS = f"""
SELECT place AS started_at, run_id, version AS row_version, 1 AS gone
FROM ({_PLACES})
WHERE NOT here OR run_id NOT IN (SELECT run_id FROM known)"""
_GONE_SCORES = f"""
SELECT
    score.name AS name, at.place AS started_at, score.run_id AS run_id,
    toUInt32(score.key % 4294967296) AS score_key, score.kind AS kind, at.version AS row_version, 1 AS gone
FROM
(
    SELECT DISTINCT home.run_id AS run_id, fact.key AS key, fact.kind AS kind, fact.name AS name
    FROM keys AS fact
    INNER JOIN homes AS home ON home.fact_run = fact.run_id
    WHERE fact.kind IN ('number', 'boolean')
) AS score
INNER JOIN ({_PLACES}) AS at ON at.run_id = score.run_id
WHERE NOT at.here OR (score.run_id, score.key, score.kind, score.name) NOT IN
    (SELECT run_id, sipHash64(score_id), toString(kind), toString(name) FROM current)"""
_GONE_EXPOSURES = f"""
SELECT
    fact.experiment AS experiment, at.place AS started_at,
    fact.run_id AS run_id, fact.exposure_key AS exposure_key,
    at.version AS row_version, 1 AS gone
FROM
(
    SELECT DISTINCT home.run_id AS run_id, fact.experiment AS experiment, fact.exposure_key AS exposure_key
    FROM exposure_facts AS fact
    INNER JOIN homes AS home ON home.fact_run = fact.fact_run
) AS fact
INNER JOIN ({_PLACES}) AS at ON at.run_id = fact.run_id
WHERE NOT at.here OR (fact.run_id, fact.experiment, fact.exposure_key) NOT IN
    (SELECT run_id, experiment, exposure_key FROM exposed)"""
_GONE_WAITS = """
SELECT DISTINCT
    wait.deadline AS deadline, home.run_id AS run_id, wait.key AS wait_key, batch.version AS row_version,
    1 AS gone
FROM keys AS wait
INNER JOIN homes AS home ON home.fact_run = wait.run_id
INNER JOIN batch ON batch.run_id = home.run_id
WHERE wait.kind = 'wait' AND NOT batch.fresh
    AND (home.run_id, wait.deadline, wait.key) NOT IN
    (
        SELECT home.run_id, asked.deadline, asked.wait_key
        FROM asked
        INNER JOIN (SELECT * FROM homes WHERE now) AS home ON home.fact_run = asked.run_id
        WHERE asked.open
    )"""

#: The temporary tables with the ids of a batch, in this order.
IDS: tuple[tuple[str, str], ...] = (
    ("aliases", _ALIASES),
    ("homes", _HOMES),
    ("own", "SELECT DISTINCT fact_run AS run_id FROM homes"),
)
#: The temporary tables with the facts of a batch, in this order.
READ: tuple[tuple[str, str], ...] = (
    ("named", _STEPS),
    ("usage", "{usage}"),
    ("known", _RUNS),
    ("keys", _KEYS),
    ("latest", _LATEST),
    ("given", _FACTS),
    ("exposure_facts", _EXPOSURE_FACTS),
    ("exposed", _EXPOSED),
    ("known_waits", _KNOWN_WAITS),
    ("asked", _WAITS),
    ("current", _CURRENT),
    ("nested", _NESTED),
    ("several", _SEVERAL),
    ("revisions", REVISIONS),
    ("answered", "{answers}"),
)
#: What is taken away, by table: written before the rows.
GONE: tuple[tuple[str, str], ...] = (
    ("raw_scored_runs", _GONE_RUNS),
    ("raw_score_rows", _GONE_SCORES),
    ("raw_exposure_rows", _GONE_EXPOSURES),
    ("raw_open_waits", _GONE_WAITS),
)
#: The rows.
ROWS: tuple[tuple[str, str], ...] = (
    ("raw_scored_runs", _RUN_ROWS),
    ("raw_score_rows", _SCORE_ROWS),
    ("raw_exposure_rows", EXPOSURE_ROWS),
    ("raw_open_waits", _WAIT_ROWS),
)


@cache
def usage_sql() -> str:
    """The rows of the view `run_usage` for the steps in the temporary table `named`.

    The text is that of the views `repeated_usage` and `run_usage`, reading `named` instead of all steps.
    """
    before, _, behind = select_of("repeated_usage").partition("named AS\n    (\n")
    _, _, behind = behind.partition("\n    ),\n")
    repeated = f"{before}named_steps AS (SELECT * FROM named),\n{behind}".replace(
        "FROM named\n", "FROM named_steps\n"
    )
    counted = f"""(
        SELECT
            step.run_id AS run_id, step.status AS status, step.model AS model,
            if(repeated.because != '', NULL, step.input_tokens) AS input_tokens,
            if(repeated.because != '', NULL, step.output_tokens) AS output_tokens,
            if(repeated.because != '', NULL, step.cost_usd) AS cost_usd
        FROM named AS step
        LEFT ANY JOIN ({repeated}) AS repeated
            ON step.run_id = repeated.run_id AND step.step_id = repeated.step_id
            AND step.attempt = repeated.attempt
    ) AS step"""
    return select_of("run_usage").replace("FROM steps AS step", f"FROM {counted}")


__all__ = ["GONE", "IDS", "READ", "ROWS", "STARTED", "usage_sql"]

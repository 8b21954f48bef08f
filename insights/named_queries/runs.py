"""Named queries about many runs: lists, slow runs, costs, judges."""

from __future__ import annotations

from upshot.insights.named_queries.query import ALWAYS, RECENT, NamedQuery, beginning

_OF_RUNS = """\
started_at >= {since:DateTime64(6, 'UTC')} AND started_at <= {before:DateTime64(6, 'UTC')}
    AND (started_at, run_key) < ({before:DateTime64(6, 'UTC')}, {before_key:UInt128})
    AND ({agent:String} = '' OR agent = {agent:String}) AND ({status:String} = '' OR status = {status:String})
    AND ({model:String} = '' OR has(models, {model:String}))
    AND ({variant:String} = '' OR arrayExists(
        (one, given) -> given = {variant:String} AND ({experiment:String} = '' OR one = {experiment:String}),
        experiments, variants))
    AND ({variant:String} != '' OR {experiment:String} = '' OR has(experiments, {experiment:String}))
    AND ({attribute:String} = '' OR attributes[{attribute:String}] = {value:String})
    AND ({score:String} = '' OR arrayExists(
        (one, number) -> one = {score:String} AND number >= {from:Float64} AND number <= {to:Float64},
        score_names, score_values))"""

#: The first SELECT finds by few columns how far back the runs go.
_RUNS = f"""\
WITH
    (
        SELECT min(started_at)
        FROM
        (
            SELECT started_at FROM scored_runs WHERE {_OF_RUNS}
            ORDER BY started_at DESC LIMIT {{limit:UInt32}}
        )
    ) AS oldest
SELECT started_at, run_id, agent, version, status, model, latency_seconds, cost_usd, score_names,
       score_values, experiments, variants, toString(run_key) AS key
FROM scored_runs
WHERE started_at >= oldest AND {_OF_RUNS}
ORDER BY started_at DESC, run_key DESC
LIMIT {{limit:UInt32}}"""

_LIVE = """\
started_at >= first_at AND origin = 'live' AND latency_seconds IS NOT NULL
            AND ({agent:String} = '' OR agent = {agent:String})"""
#: A clock that is years ahead is no beginning.
_NEWEST = "SELECT max(started_at) AS newest FROM scored_runs WHERE started_at < now64(6) + INTERVAL 1 DAY"
_OWN_FACTS = "'agent', 'version', 'model', 'status', 'failed steps'"

#: Facts are counted by kind, since rows of few columns with few values are quick to count.
_SLOW_RUNS = f"""\
WITH
    {beginning(_NEWEST, 30)} AS first_at,
    (
        SELECT quantile({{quantile:Float64}})(assumeNotNull(latency_seconds)) FROM scored_runs
        WHERE {_LIVE}
    ) AS limit_seconds,
    (
        SELECT (countIf(latency_seconds >= limit_seconds), countIf(latency_seconds < limit_seconds))
        FROM scored_runs
        WHERE {_LIVE}
    ) AS runs_of,
    chosen AS
    (
        SELECT latency_seconds >= limit_seconds AS slow, toString(agent) AS agent,
               toString(version) AS version, toString(model) AS model, toString(status) AS status,
               if(failed_steps > 0, 'yes', 'no') AS failed, experiments, variants, attributes
        FROM scored_runs
        WHERE {_LIVE}
    )
SELECT fact.1 AS name, fact.2 AS value, sum(slow_of) AS slow_runs, sum(others_of) AS other_runs,
       round(100 * slow_runs / runs_of.1, 1) AS slow_percent,
       round(100 * other_runs / runs_of.2, 1) AS other_percent,
       round(limit_seconds, 3) AS slow_from_seconds, first_at AS since
FROM
(
    SELECT arrayJoin([('agent', agent), ('version', version), ('model', model), ('status', status),
                      ('failed steps', failed)]) AS fact,
           countIf(slow) AS slow_of, countIf(NOT slow) AS others_of
    FROM chosen
    GROUP BY agent, version, model, status, failed
    UNION ALL
    SELECT (concat('variant of ', one), toString(given)), countIf(slow), countIf(NOT slow)
    FROM
    (
        SELECT slow, arrayDistinct(arrayZip(experiments, variants)) AS pairs
        FROM chosen WHERE notEmpty(experiments)
    )
    ARRAY JOIN pairs.1 AS one, pairs.2 AS given
    GROUP BY one, given
    UNION ALL
    SELECT (toString(one), given), countIf(slow), countIf(NOT slow)
    FROM chosen
    ARRAY JOIN mapKeys(attributes) AS one, mapValues(attributes) AS given
    WHERE NOT ((one IN ({_OWN_FACTS}) OR startsWith(one, 'variant of '))
        AND has(
            arrayConcat(
                [('agent', agent), ('version', version), ('model', model), ('status', status),
                 ('failed steps', failed)],
                arrayMap((of, its) -> (concat('variant of ', of), toString(its)), experiments, variants)),
            (toString(one), given)))
    GROUP BY one, given
)
WHERE fact.2 != ''
GROUP BY fact
HAVING slow_runs >= {{at_least:UInt32}}
ORDER BY slow_percent - ifNull(if(isFinite(other_percent), other_percent, 0), 0) DESC, name, value
LIMIT {{limit:UInt32}}"""

RUNS = (
    NamedQuery(
        "runs",
        "Runs, the newest first, by any of: agent, status, model, variant, attribute, score; page by page",
        _RUNS,
        {
            "agent": "",
            "status": "",
            "model": "",
            "experiment": "",
            "variant": "",
            "attribute": "",
            "value": "",
            "score": "",
            "from": "-inf",
            "to": "inf",
            "since": ALWAYS,
            "before": "2299-01-01 00:00:00",
            "before_key": "0",
            "limit": "50",
        },
    ),
    NamedQuery(
        "slow-runs",
        "What the slowest runs have in common, against the others; recent: of the last 30 days with runs",
        _SLOW_RUNS,
        {"quantile": "0.95", "agent": "", "since": RECENT, "at_least": "1", "limit": "50"},
    ),
    NamedQuery(
        "cost-per-success",
        "What the scored runs cost, and for each success (a true score), by agent and model",
        """\
SELECT name, agent, model, count() AS scored, countIf(value = 1) AS successes, sum(cost_usd) AS cost,
       if(successes = 0, NULL, cost / successes) AS cost_per_success,
       countIf(cost_usd IS NULL) AS cost_unknown
FROM score_rows
WHERE ({name:String} = '' OR name = {name:String}) AND started_at >= {since:DateTime64(6, 'UTC')}
    AND origin = 'live' AND kind = 'boolean' AND place = 1 AND run_known
GROUP BY name, agent, model
ORDER BY name, cost_per_success NULLS LAST, agent, model""",
        {"name": "", "since": ALWAYS},
    ),
    NamedQuery(
        "judge-against-outcome",
        "How often a judge's score and the outcome's agree, by agent; numbers: `threshold` or more",
        """\
SELECT agent, count() AS runs, countIf(judged AND happened) AS both,
       countIf(judged AND NOT happened) AS judge_alone,
       countIf(NOT judged AND happened) AS outcome_alone, countIf(NOT judged AND NOT happened) AS neither,
       round(100 * (both + neither) / runs, 1) AS agreement_percent,
       if(isFinite(corr(judge_value, outcome_value)), round(corr(judge_value, outcome_value), 4), NULL)
           AS correlation
FROM
(
    SELECT agent, score_values[indexOf(score_names, {judge:String})] AS judge_value,
           score_values[indexOf(score_names, {outcome:String})] AS outcome_value,
           judge_value >= {threshold:Float64} AS judged, outcome_value >= {threshold:Float64} AS happened
    FROM scored_runs
    WHERE started_at >= {since:DateTime64(6, 'UTC')} AND origin = 'live'
        AND has(score_names, {judge:String}) AND has(score_names, {outcome:String})
)
GROUP BY agent
ORDER BY agent""",
        {"judge": "", "outcome": "", "threshold": "0.5", "since": ALWAYS},
    ),
)

__all__ = ["RUNS"]

-- What people and programs read. FINAL is inside, so that nobody ever sees a duplicate or half a run.

CREATE OR REPLACE VIEW runs AS
WITH
    arraySort(raw.attributes) AS facts,
    arrayFilter((fact, next) -> fact.key != next, facts, arrayShiftLeft(facts.key, 1)) AS latest
SELECT
    raw.run_id AS run_id,
    raw.agent.value AS agent,
    raw.version.value AS version,
    raw.status.value AS status,
    if(toUnixTimestamp64Micro(raw.started_at.at) = 0, NULL, raw.started_at.value) AS started_at,
    if(toUnixTimestamp64Micro(raw.ended_at.at) = 0, NULL, raw.ended_at.value) AS ended_at,
    raw.session_id.value AS session_id,
    raw.parent_run_id.value AS parent_run_id,
    if(raw.origin.value = '', 'live', raw.origin.value) AS origin,
    raw.error.value AS error,
    raw.input.value AS input,
    raw.output.value AS output,
    mapFromArrays(latest.key, latest.value) AS attributes,
    raw.recorded_at AS recorded_at
FROM raw_runs AS raw FINAL
COMMENT 'Runs: one row for each execution of an agent. What is not known (yet) is empty or NULL';

CREATE OR REPLACE VIEW steps AS
SELECT
    run_id, step_id, attempt, parent_step_id, name, kind, status, started_at, ended_at, provider, model,
    input_tokens, output_tokens, cached_input_tokens,
    toInt64(input_tokens) - toInt64(ifNull(cached_input_tokens, 0)) AS uncached_input_tokens,
    cost_usd, error, input, output, attributes, recorded_at
FROM raw_steps FINAL
COMMENT 'Steps: the units inside a run, one row for each attempt. Negative uncached_input_tokens mean that the producer does not count cached tokens as input';

CREATE OR REPLACE VIEW outcomes AS
SELECT subject, source, id, type, time, data, topic, partition, offset, recorded_at
FROM raw_outcomes FINAL
COMMENT 'Outcomes: what happened in the world, each once, at the earlier of its times';

CREATE OR REPLACE VIEW exposures AS
SELECT run_id, exposure_id, experiment, variant, phase, probability, unit, strategy, exposed_at, recorded_at
FROM raw_exposures FINAL
COMMENT 'Exposures: which variant of an experiment a run was given, and with what probability';

CREATE OR REPLACE VIEW waits AS
SELECT
    wait_id, run_id, step_id, name, subject, agent, mode, rule, outcome_types, opened_at, since, deadline,
    exposures, attributes, recorded_at
FROM raw_waits FINAL
COMMENT 'Waits: questions about a subject, open or answered. Of two with one id about one subject the one opened earlier counts';

CREATE OR REPLACE VIEW scores AS
SELECT
    score_id, run_id, step_id, name, value, kind, key, revision, supersedes, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, source, comment, exposures, attributes, recorded_at, precedence
FROM raw_scores FINAL
WHERE reason != 'given'
UNION ALL
SELECT
    score_id, run_id, step_id, name, value, kind, key, toUInt64(place) AS revision,
    if(place > 1, toNullable(toUInt64(place - 1)), NULL) AS supersedes, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, source, comment, exposures, attributes, recorded_at, precedence
FROM
(
    SELECT *, row_number() OVER (PARTITION BY run_id, score_id ORDER BY precedence) AS place
    FROM raw_scores FINAL
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'given')
)
WHERE reason = 'given'
COMMENT 'Scores: every revision, the history. The one with the highest precedence is current; of given ones the revision is their place in time';

CREATE OR REPLACE VIEW alerts AS
SELECT alert_id, name, run_id, score_id, revision, value, kind, message, raised_at, recorded_at
FROM raw_alerts FINAL
COMMENT 'Alerts: bad outcomes that somebody wants to hear of at once';

CREATE OR REPLACE VIEW dead_letters AS
SELECT dead_letter_id, reason, detail, topic, partition, offset, key, payload, headers, recorded_at
FROM raw_dead_letters FINAL
COMMENT 'Dead letters: input that could not be used, with its reason and its original bytes';

CREATE OR REPLACE VIEW current_scores AS
SELECT
    score.score_id AS score_id,
    score.run_id AS run_id,
    score.step_id AS step_id,
    score.name AS name,
    assumeNotNull(score.value) AS value,
    score.kind AS kind,
    if(score.reason = 'given', greatest(ifNull(given.facts, 1), 1), score.revision) AS revision,
    score.reason AS reason,
    score.late AS late,
    score.subject AS subject,
    score.wait_id AS wait_id,
    score.outcome_id AS outcome_id,
    score.occurred_at AS occurred_at,
    score.decided_at AS decided_at,
    if(score.agent != '', toString(score.agent), ifNull(run.agent, '')) AS agent,
    toBool(ifNull(run.run_id, '') != '') AS run_known,
    ifNull(run.version, '') AS version,
    ifNull(run.status, '') AS status,
    run.started_at AS run_started_at,
    ifNull(run.session_id, '') AS session_id,
    if(ifNull(run.origin, '') = '', 'live', ifNull(run.origin, '')) AS origin,
    mapUpdate(CAST(score.attributes, 'Map(String, String)'), run.attributes) AS attributes,
    CAST(
        if(notEmpty(score.exposures), score.exposures, exposed.exposures),
        'Array(Tuple(experiment String, variant String, phase String, probability Float64))'
    ) AS exposures
FROM (SELECT * FROM raw_latest_scores FINAL WHERE value IS NOT NULL) AS score
LEFT ANY JOIN runs AS run ON score.run_id = run.run_id
LEFT ANY JOIN
(
    SELECT run_id, arraySort(groupArray((toString(experiment), toString(variant), toString(phase), probability))) AS exposures
    FROM exposures
    GROUP BY run_id
) AS exposed ON score.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT score_id, uniqExact(fact_id) AS facts
    FROM raw_scores
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'given')
    GROUP BY score_id
    HAVING facts > 1
) AS given ON score.score_id = given.score_id
COMMENT 'The latest revision of each score that has a value, with its run: agent, exposures and attributes that the score does not carry come from there, whenever they arrive';

CREATE OR REPLACE VIEW pending AS
SELECT
    wait.wait_id AS wait_id,
    wait.run_id AS run_id,
    wait.step_id AS step_id,
    wait.name AS name,
    wait.subject AS subject,
    if(wait.agent != '', toString(wait.agent), ifNull(run.agent, '')) AS agent,
    wait.mode AS mode,
    wait.opened_at AS opened_at,
    wait.deadline AS deadline,
    toBool(wait.deadline < now64(6)) AS overdue,
    mapUpdate(CAST(wait.attributes, 'Map(String, String)'), run.attributes) AS attributes
FROM
(
    SELECT * FROM raw_waits FINAL
    WHERE (subject, wait_id) NOT IN
        (
            SELECT subject, wait_id FROM raw_latest_scores FINAL
            WHERE wait_id != '' AND (value IS NOT NULL OR reason = 'expired')
        )
        OR (mode IN ('last', 'count', 'sum') AND deadline >= now64(6))
) AS wait
LEFT ANY JOIN runs AS run ON wait.run_id = run.run_id
COMMENT 'Waits without a final answer: no score yet, or one that later outcomes may still revise before the deadline';

CREATE OR REPLACE VIEW unmatched_outcomes AS
SELECT * FROM outcomes
WHERE (subject, type) NOT IN (SELECT subject, arrayJoin(outcome_types) FROM waits)
COMMENT 'Outcomes that nobody ever waited for';

-- A run's page lists steps with their usage. Whether another step says it, too, takes ClickHouse longer to plan than
-- to find out, and in most runs none does: who reads the outlines can tell whether the question arises.

CREATE OR REPLACE VIEW step_outlines
(
    run_id String COMMENT 'The run that it belongs to',
    step_id String COMMENT 'The step, unique in its run',
    attempt UInt64 COMMENT 'Which try this is, from 1',
    name LowCardinality(String) COMMENT 'What it is called',
    status LowCardinality(String) COMMENT 'running, ok, error or cancelled',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended',
    parent_step_id Nullable(String) COMMENT 'The step around it',
    kind LowCardinality(String) COMMENT 'model, tool, retrieval, function or another word',
    reported_input_tokens Nullable(UInt64) COMMENT 'Tokens read as the step itself says it, counted or not',
    reported_output_tokens Nullable(UInt64) COMMENT 'Tokens written as the step itself says it, counted or not',
    reported_cost_usd Nullable(Float64) COMMENT 'The cost as the step itself says it, counted or not',
    reports_usage Bool COMMENT 'Whether the step says any tokens or a cost',
    response_id String COMMENT 'The provider''s id of its answer; empty where unknown',
    instrumentation LowCardinality(String) COMMENT 'The instrumentation whose span it is; empty where it is none',
    error String COMMENT 'What went wrong'
)
AS
WITH told AS
(
    SELECT
        run_id, step_id, attempt, name, status, model, started_at, ended_at, parent_step_id, kind,
        input_tokens AS reported_input_tokens, output_tokens AS reported_output_tokens, cost_usd AS reported_cost_usd,
        coalesce(input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens) IS NOT NULL
            OR cost_usd IS NOT NULL AS reports_usage,
        response_id, instrumentation, error
    FROM raw_steps FINAL
)
SELECT * FROM told
WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
UNION ALL
SELECT alias.known_as AS run_id, named.* EXCEPT run_id
FROM (SELECT * FROM told WHERE run_id IN (SELECT run_id FROM raw_run_aliases)) AS named
INNER JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON alias.run_id = named.run_id
COMMENT 'Steps without payloads and attributes, with usage as each step says it: quick for one run';

CREATE OR REPLACE VIEW followup_outlines
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'Its scorer, which is the name of the score that its code returns',
    version LowCardinality(String) COMMENT 'The version of that code',
    status LowCardinality(String) COMMENT 'running, waiting, failed or undeployed, as in current_followups; deferred: no worker has told of it yet',
    subject String COMMENT 'What it waits for news about, of several what ends first; empty where it waits for nothing or sleeps',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was deferred',
    deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first that it waits for ends; absent where it waits for nothing',
    overdue Bool COMMENT 'Whether that has passed'
)
AS
SELECT
    deferral.followup_id AS followup_id,
    deferral.run_id AS run_id,
    deferral.step_id AS step_id,
    deferral.scorer AS name,
    deferral.version AS version,
    if(followup.status = '', 'deferred', toString(followup.status)) AS status,
    arraySort(wait -> wait.3, followup.waiting_for)[1].1 AS subject,
    deferral.deferred_at AS opened_at,
    if(empty(followup.waiting_for), NULL, arrayMin(wait -> wait.3, followup.waiting_for)) AS deadline,
    toBool(ifNull(deadline < now64(6), false)) AS overdue
FROM
(
    SELECT
        told.followup_id AS followup_id, told.step_id AS step_id, told.scorer AS scorer, told.version AS version,
        told.deferred_at AS deferred_at,
        if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id
    FROM (SELECT * FROM raw_deferrals FINAL) AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
) AS deferral
LEFT ANY JOIN (SELECT followup_id, status, waiting_for FROM raw_followups FINAL) AS followup
    ON deferral.followup_id = followup.followup_id
WHERE followup.status IN ('', 'running', 'waiting', 'failed', 'undeployed')
COMMENT 'The same as pending_followups without what their runs say: quick for one run';

-- Rows that came late leave small parts beside the large one of their month, and every read has to merge them: four
-- times the work of one part. A month in which nothing was written for an hour is merged to one part.

ALTER TABLE raw_scored_runs MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = true;

ALTER TABLE raw_score_rows MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = true;

ALTER TABLE raw_exposure_rows MODIFY SETTING min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = true;

-- Whoever follows a link by the id of a wait, an outcome or a session needs no scan of all rows.

ALTER TABLE raw_waits ADD INDEX IF NOT EXISTS by_wait wait_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE raw_waits MATERIALIZE INDEX by_wait;

ALTER TABLE raw_outcomes ADD INDEX IF NOT EXISTS by_id id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE raw_outcomes MATERIALIZE INDEX by_id;

ALTER TABLE raw_scored_runs ADD INDEX IF NOT EXISTS by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1;

ALTER TABLE raw_scored_runs MATERIALIZE INDEX by_session;

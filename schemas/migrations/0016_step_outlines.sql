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

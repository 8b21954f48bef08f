-- Which usage counts: a function of the set of a run's steps, whatever order and batches they came in; and
-- traces that go by another run id, which their root alone may say.

ALTER TABLE raw_steps
    ADD COLUMN IF NOT EXISTS response_id String COMMENT 'The provider''s id of its answer; empty where unknown' CODEC(ZSTD(1)) AFTER error_type,
    ADD COLUMN IF NOT EXISTS instrumentation LowCardinality(String) COMMENT 'The instrumentation whose span it is; empty where it is none' AFTER response_id;

CREATE TABLE IF NOT EXISTS raw_run_aliases
(
    run_id String COMMENT 'The id under which events were written: that of a trace' CODEC(ZSTD(1)),
    known_as String COMMENT 'The run''s id, as the root of the trace says it' CODEC(ZSTD(1)),
    at DateTime64(6, 'UTC') COMMENT 'When that was said; the latest counts' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY run_id
COMMENT 'Traces whose root says another run id: their steps are shown under that';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_run_aliases_feed TO raw_run_aliases AS
SELECT
    run_id,
    tupleElement(attributes['upshot.known_as'], 2) AS known_as,
    tupleElement(attributes['upshot.known_as'], 1) AS at
FROM raw_runs
WHERE mapContains(attributes, 'upshot.known_as') AND known_as != run_id;

CREATE OR REPLACE VIEW runs
(
    run_id String COMMENT 'The run',
    agent String COMMENT 'The agent''s name; empty where nobody has said it yet',
    version String COMMENT 'The agent''s version',
    status String COMMENT 'running, completed, failed or cancelled; a final status is never overwritten by running',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started; NULL where unknown',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended; NULL where unknown',
    session_id String COMMENT 'The session that it belongs to',
    parent_run_id String COMMENT 'The run that started it',
    origin String COMMENT 'live, or replay for runs that production statistics leave out',
    error String COMMENT 'What went wrong',
    input String COMMENT 'What the agent was given',
    output String COMMENT 'What the agent gave',
    attributes Map(String, String) COMMENT 'Free facts; of each the one said last; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the first event about it was written to Kafka'
)
AS
SELECT
    raw.run_id AS run_id,
    tupleElement(raw.agent, 2) AS agent,
    tupleElement(raw.version, 2) AS version,
    tupleElement(raw.status, 3) AS status,
    if(toUnixTimestamp64Micro(tupleElement(raw.started_at, 1)) = 0, NULL, tupleElement(raw.started_at, 2)) AS started_at,
    if(toUnixTimestamp64Micro(tupleElement(raw.ended_at, 1)) = 0, NULL, tupleElement(raw.ended_at, 2)) AS ended_at,
    tupleElement(raw.session_id, 2) AS session_id,
    tupleElement(raw.parent_run_id, 2) AS parent_run_id,
    if(tupleElement(raw.origin, 2) = '', 'live', tupleElement(raw.origin, 2)) AS origin,
    tupleElement(raw.error, 2) AS error,
    tupleElement(raw.input, 2) AS input,
    tupleElement(raw.output, 2) AS output,
    mapApply((name, fact) -> (name, tupleElement(fact, 2)), raw.attributes) AS attributes,
    raw.recorded_at AS recorded_at
FROM raw_runs AS raw FINAL
WHERE raw.run_id NOT IN (SELECT run_id FROM raw_run_aliases)
COMMENT 'Runs: one row for each execution of an agent. What is not known (yet) is empty or NULL. A trace whose root says another run id is shown under that';

CREATE OR REPLACE VIEW repeated_usage
(
    run_id String COMMENT 'The run',
    step_id String COMMENT 'The step whose tokens and cost do not count',
    attempt UInt64 COMMENT 'Which try of it',
    because String COMMENT 'below: a step below says the usage, too; twin: another step tells of the same model call',
    counted_step_id String COMMENT 'Of twins the step that counts; empty otherwise'
)
AS
WITH
    named AS
    (
        SELECT run_id, step_id, attempt, parent_step_id, name, instrumentation, response_id, model, input_tokens,
               output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens, cost_usd,
               started_at, ended_at
        FROM raw_steps FINAL
        WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
        UNION ALL
        SELECT alias.known_as AS run_id, step_id, attempt, parent_step_id, name, instrumentation, response_id, model,
               input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens,
               cost_usd, started_at, ended_at
        FROM (SELECT * FROM raw_steps FINAL WHERE run_id IN (SELECT run_id FROM raw_run_aliases)) AS step
        INNER JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON alias.run_id = step.run_id
    ),
    -- Texts as numbers: what is compared for all steps has to be small. 0 is none.
    numbered AS
    (
        SELECT
            run_id, step_id, attempt,
            sipHash64(step_id) AS step,
            if(ifNull(parent_step_id, '') = '', 0, sipHash64(ifNull(parent_step_id, ''))) AS parent,
            ifNull(toUnixTimestamp64Micro(started_at), 0) AS began,
            ifNull(toUnixTimestamp64Micro(ended_at), 0) AS ended,
            coalesce(input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_output_tokens) IS NOT NULL
                OR cost_usd IS NOT NULL AS says,
            if(instrumentation = '', 0, CRC32(concat(instrumentation, '\0', name))) AS teller,
            if(response_id = '', 0, sipHash64(response_id)) AS answer,
            if(
                model = '' OR ended = 0 OR (ifNull(input_tokens, 0) = 0 AND ifNull(output_tokens, 0) = 0), 0,
                sipHash64(
                    replaceRegexpOne(lower(model), '(?:[-@:](?:\\d{8}|\\d{4}-\\d{2}-\\d{2}|\\d{2}-\\d{4}|latest|preview|exp|\\d{3}|v\\d+:\\d+))+$', ''),
                    ifNull(input_tokens, -1), ifNull(output_tokens, -1)
                )
            ) AS figures,
            (coalesce(input_tokens, output_tokens) IS NULL, cost_usd IS NULL, teller, began, CRC32(step_id)) AS rank
        FROM named
    ),
    -- By run: all steps with their parents, and the calls, which are those that say usage.
    runs_with_calls AS
    (
        SELECT
            run_id,
            groupArray((began, -ended, step, parent)) AS tree,
            groupArrayIf((step, parent, teller, answer, figures, began, ended, rank, step_id, attempt), says) AS calls
        FROM numbered
        GROUP BY run_id
        HAVING length(calls) > 1
            AND (
                hasAny(calls.1, tree.4)
                OR length(arrayDistinct(arrayFilter(id -> id != 0, calls.4))) < arrayCount(id -> id != 0, calls.4)
                OR (
                    length(arrayDistinct(calls.3)) > 1
                    AND length(arrayDistinct(arrayFilter(id -> id != 0, calls.5))) < arrayCount(id -> id != 0, calls.5)
                )
            )
    ),
    -- Steps above a call: its parent, and further ones from the inside out; three times, for clocks that disagree.
    runs_with_parents AS
    (
        SELECT
            run_id,
            calls,
            arrayReverseSort(arrayFilter(one -> one.4 != 0 AND NOT has(calls.1, one.3), tree)) AS others,
            arrayFold(
                (above, one) -> if(has(above, one.3) AND NOT has(above, one.4), arrayPushBack(above, one.4), above),
                arrayConcat(others, others, others),
                arrayDistinct(arrayFilter(id -> id != 0, calls.2))
            ) AS above
        FROM runs_with_calls
    ),
    every_call AS
    (
        SELECT
            run_id, has(above, call.1) AS is_above, call.1 AS step, call.3 AS teller, call.4 AS answer, call.6 AS began,
            call.7 AS ended, call.8 AS rank, call.9 AS step_id, call.10 AS attempt,
            if(is_above OR answer = 0, step, answer) AS by_answer,
            if(is_above OR call.5 = 0, step, call.5) AS by_figures
        FROM runs_with_parents
        ARRAY JOIN calls AS call
    )
SELECT
    run_id, step_id, attempt,
    if(is_above, 'below', 'twin') AS because,
    multiIf(is_above, '', same_answer != '', same_answer, same_figures) AS counted_step_id
FROM
(
    SELECT
        run_id, step_id, attempt, is_above,
        -- Some servers give one id to all of their answers: an instrumentation's calls one after the other are several.
        arrayFirst(
            other -> other.1 < rank AND (
                other.2 != teller OR (other.4 < ended AND began < other.5)
                OR (other.4 <= began AND ended <= other.5) OR (began <= other.4 AND other.5 <= ended)
            ),
            groupArray((rank, teller, answer, began, ended, step_id)) OVER (PARTITION BY run_id, by_answer)
        ).6 AS same_answer,
        arrayFirst(
            other -> other.1 < rank AND other.2 != teller AND (other.3 = 0 OR answer = 0)
                AND ((other.4 <= began AND ended <= other.5) OR (began <= other.4 AND other.5 <= ended)),
            groupArray((rank, teller, answer, began, ended, step_id)) OVER (PARTITION BY run_id, by_figures)
        ).6 AS same_figures
    FROM every_call
)
WHERE is_above OR same_answer != '' OR same_figures != ''
COMMENT 'Steps that say usage which another step of their run says, too: below them, or beside them about the same model call. The view steps leaves it out of tokens and cost';

CREATE OR REPLACE VIEW steps
(
    run_id String COMMENT 'The run that it belongs to',
    step_id String COMMENT 'The step, unique in its run',
    attempt UInt64 COMMENT 'Which try this is, from 1',
    parent_step_id Nullable(String) COMMENT 'The step around it',
    name LowCardinality(String) COMMENT 'What it is called',
    kind LowCardinality(String) COMMENT 'model, tool, retrieval, function or another word',
    status LowCardinality(String) COMMENT 'running, ok, error or cancelled',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended',
    operation LowCardinality(String) COMMENT 'What was asked for, in OpenTelemetry''s words; empty where unknown',
    provider LowCardinality(String) COMMENT 'Who serves the model; empty where unknown',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    request_model LowCardinality(String) COMMENT 'The model that was asked for; empty where unknown',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read, cached ones included; NULL where another step says them, too',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written; NULL where another step says them, too',
    cached_input_tokens Nullable(UInt64) COMMENT 'Tokens read from a cache; NULL where another step says them, too',
    cache_write_input_tokens Nullable(UInt64) COMMENT 'Tokens read and written to a cache; NULL where another step says them, too',
    uncached_input_tokens Nullable(Int64) COMMENT 'Tokens read, less those read from or written to a cache; negative where the producer does not count these as input',
    reasoning_output_tokens Nullable(UInt64) COMMENT 'Tokens written while thinking; NULL where another step says them, too',
    first_chunk_seconds Nullable(Float64) COMMENT 'Seconds until the first piece of a streamed answer',
    finish_reasons Array(LowCardinality(String)) COMMENT 'Why the model stopped',
    tool_name LowCardinality(String) COMMENT 'The tool that was called; empty where there is none',
    tool_call_id String COMMENT 'The model''s id of that call',
    prompt_name LowCardinality(String) COMMENT 'The name of the prompt that was used',
    prompt_version LowCardinality(String) COMMENT 'The version of that prompt',
    cost_usd Nullable(Float64) COMMENT 'What it cost in US dollars; NULL where unknown, or where another step says it, too',
    cost_source LowCardinality(String) COMMENT 'given: somebody said the cost; span: its instrumentation did; table: it follows from prices; empty where nobody says',
    counted Bool COMMENT 'Whether its usage counts: false where another step says it, too; see repeated_usage',
    reported_input_tokens Nullable(UInt64) COMMENT 'Tokens read as the step itself says it, counted or not',
    reported_output_tokens Nullable(UInt64) COMMENT 'Tokens written as the step itself says it, counted or not',
    reported_cost_usd Nullable(Float64) COMMENT 'The cost as the step itself says it, counted or not',
    response_id String COMMENT 'The provider''s id of its answer; empty where unknown',
    instrumentation LowCardinality(String) COMMENT 'The instrumentation whose span it is; empty where it is none',
    error String COMMENT 'What went wrong',
    error_type LowCardinality(String) COMMENT 'What kind of error that is',
    input String COMMENT 'What it was given',
    output String COMMENT 'What it gave',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    step.run_id AS run_id, step.step_id AS step_id, step.attempt AS attempt, parent_step_id, name, kind, status,
    started_at, ended_at, operation, provider, model, request_model,
    if(counted, step.input_tokens, NULL) AS input_tokens,
    if(counted, step.output_tokens, NULL) AS output_tokens,
    if(counted, step.cached_input_tokens, NULL) AS cached_input_tokens,
    if(counted, step.cache_write_input_tokens, NULL) AS cache_write_input_tokens,
    toInt64(input_tokens) - toInt64(ifNull(cached_input_tokens, 0)) - toInt64(ifNull(cache_write_input_tokens, 0))
        AS uncached_input_tokens,
    if(counted, step.reasoning_output_tokens, NULL) AS reasoning_output_tokens,
    first_chunk_seconds, finish_reasons, tool_name, tool_call_id, prompt_name, prompt_version,
    if(counted, step.cost_usd, NULL) AS cost_usd,
    if(counted, step.cost_source, '') AS cost_source,
    toBool(ifNull(repeated.because, '') = '') AS counted,
    step.input_tokens AS reported_input_tokens,
    step.output_tokens AS reported_output_tokens,
    step.cost_usd AS reported_cost_usd,
    response_id, instrumentation, error, error_type, input, output, attributes, recorded_at
FROM
(
    SELECT * EXCEPT row_version
    FROM raw_steps FINAL
    WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
    UNION ALL
    SELECT alias.known_as AS run_id, told.* EXCEPT (run_id, row_version)
    FROM (SELECT * FROM raw_steps FINAL WHERE run_id IN (SELECT run_id FROM raw_run_aliases)) AS told
    INNER JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON alias.run_id = told.run_id
) AS step
LEFT ANY JOIN repeated_usage AS repeated
    ON step.run_id = repeated.run_id AND step.step_id = repeated.step_id AND step.attempt = repeated.attempt
COMMENT 'Steps: the units inside a run, one row for each attempt. Tokens and cost stand on one of the steps that say them: the innermost, and of several about one model call a single one, so that sums count nothing twice';

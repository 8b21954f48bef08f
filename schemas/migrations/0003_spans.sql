-- What spans say of model calls, tools and prompts, and where a cost comes from.

ALTER TABLE raw_steps
    ADD COLUMN IF NOT EXISTS operation LowCardinality(String) COMMENT 'What was asked for, in OpenTelemetry''s words; empty where unknown' AFTER attributes,
    ADD COLUMN IF NOT EXISTS request_model LowCardinality(String) COMMENT 'The model that was asked for; empty where unknown' AFTER operation,
    ADD COLUMN IF NOT EXISTS cache_write_input_tokens Nullable(UInt64) COMMENT 'Tokens read and written to a cache' CODEC(T64, ZSTD(1)) AFTER request_model,
    ADD COLUMN IF NOT EXISTS reasoning_output_tokens Nullable(UInt64) COMMENT 'Tokens written while thinking' CODEC(T64, ZSTD(1)) AFTER cache_write_input_tokens,
    ADD COLUMN IF NOT EXISTS first_chunk_seconds Nullable(Float64) COMMENT 'Seconds until the first piece of a streamed answer' CODEC(ZSTD(1)) AFTER reasoning_output_tokens,
    ADD COLUMN IF NOT EXISTS finish_reasons Array(LowCardinality(String)) COMMENT 'Why the model stopped' CODEC(ZSTD(1)) AFTER first_chunk_seconds,
    ADD COLUMN IF NOT EXISTS tool_name LowCardinality(String) COMMENT 'The tool that was called; empty where there is none' AFTER finish_reasons,
    ADD COLUMN IF NOT EXISTS tool_call_id String COMMENT 'The model''s id of that call' CODEC(ZSTD(1)) AFTER tool_name,
    ADD COLUMN IF NOT EXISTS prompt_name LowCardinality(String) COMMENT 'The name of the prompt that was used' AFTER tool_call_id,
    ADD COLUMN IF NOT EXISTS prompt_version LowCardinality(String) COMMENT 'The version of that prompt' AFTER prompt_name,
    ADD COLUMN IF NOT EXISTS cost_source LowCardinality(String) COMMENT 'given: somebody said the cost; span: its instrumentation did; table: it follows from prices; empty where nobody says' AFTER prompt_version,
    ADD COLUMN IF NOT EXISTS error_type LowCardinality(String) COMMENT 'What kind of error that is' AFTER cost_source;

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
    input_tokens Nullable(UInt64) COMMENT 'Tokens read, cached ones included',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written',
    cached_input_tokens Nullable(UInt64) COMMENT 'Tokens read from a cache',
    cache_write_input_tokens Nullable(UInt64) COMMENT 'Tokens read and written to a cache',
    uncached_input_tokens Nullable(Int64) COMMENT 'Tokens read, less those read from or written to a cache; negative where the producer does not count these as input',
    reasoning_output_tokens Nullable(UInt64) COMMENT 'Tokens written while thinking',
    first_chunk_seconds Nullable(Float64) COMMENT 'Seconds until the first piece of a streamed answer',
    finish_reasons Array(LowCardinality(String)) COMMENT 'Why the model stopped',
    tool_name LowCardinality(String) COMMENT 'The tool that was called; empty where there is none',
    tool_call_id String COMMENT 'The model''s id of that call',
    prompt_name LowCardinality(String) COMMENT 'The name of the prompt that was used',
    prompt_version LowCardinality(String) COMMENT 'The version of that prompt',
    cost_usd Nullable(Float64) COMMENT 'What it cost in US dollars; NULL where unknown',
    cost_source LowCardinality(String) COMMENT 'given: somebody said the cost; span: its instrumentation did; table: it follows from prices; empty where nobody says',
    error String COMMENT 'What went wrong',
    error_type LowCardinality(String) COMMENT 'What kind of error that is',
    input String COMMENT 'What it was given',
    output String COMMENT 'What it gave',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    run_id, step_id, attempt, parent_step_id, name, kind, status, started_at, ended_at, operation, provider,
    model, request_model, input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens,
    toInt64(input_tokens) - toInt64(ifNull(cached_input_tokens, 0)) - toInt64(ifNull(cache_write_input_tokens, 0))
        AS uncached_input_tokens,
    reasoning_output_tokens, first_chunk_seconds, finish_reasons, tool_name, tool_call_id, prompt_name,
    prompt_version, cost_usd, cost_source, error, error_type, input, output, attributes, recorded_at
FROM raw_steps FINAL
COMMENT 'Steps: the units inside a run, one row for each attempt. Tokens and cost stand on the innermost step that says them, so that sums count nothing twice. Negative uncached_input_tokens mean that the producer does not count cached tokens as input';

-- Copies of scores and waits in the order of runs, for the backfill alone: each of its pieces reads its own runs'
-- rows, so that a row costs as much among many pieces as among few. Parts aren't merged, since every row is read once.

CREATE TABLE IF NOT EXISTS raw_copied_latest
(
    score_id String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    step_id Nullable(String) CODEC(ZSTD(1)),
    name LowCardinality(String),
    value Nullable(Float64) CODEC(ZSTD(1)),
    kind LowCardinality(String),
    revision UInt64 CODEC(T64, ZSTD(1)),
    reason LowCardinality(String),
    late Bool CODEC(ZSTD(1)),
    subject String CODEC(ZSTD(1)),
    wait_id String CODEC(ZSTD(1)),
    outcome_id String CODEC(ZSTD(1)),
    occurred_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    agent LowCardinality(String),
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    as_kind LowCardinality(String),
    precedence UInt256 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY run_id
SETTINGS index_granularity = 512, max_bytes_to_merge_at_max_space_in_pool = 1, parts_to_delay_insert = 5000, parts_to_throw_insert = 50000
COMMENT 'For the backfill: the latest revisions by run';

CREATE TABLE IF NOT EXISTS raw_copied_revisions
(
    run_id String CODEC(ZSTD(1)),
    score_id String CODEC(ZSTD(1)),
    fact_id String CODEC(ZSTD(1)),
    name LowCardinality(String),
    step_id Nullable(String) CODEC(ZSTD(1)),
    value Nullable(Float64) CODEC(ZSTD(1)),
    revision UInt64 CODEC(T64, ZSTD(1)),
    reason LowCardinality(String),
    occurred_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    row_version UInt128 CODEC(ZSTD(1)),
    precedence UInt256 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY run_id
SETTINGS index_granularity = 512, max_bytes_to_merge_at_max_space_in_pool = 1, parts_to_delay_insert = 5000, parts_to_throw_insert = 50000
COMMENT 'For the backfill: revisions of scores by run';

CREATE TABLE IF NOT EXISTS raw_copied_waits
(
    run_id String CODEC(ZSTD(1)),
    subject String CODEC(ZSTD(1)),
    wait_id String CODEC(ZSTD(1)),
    step_id Nullable(String) CODEC(ZSTD(1)),
    name LowCardinality(String),
    agent LowCardinality(String),
    mode LowCardinality(String),
    opened_at DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    deadline DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    reply_to String CODEC(ZSTD(1)),
    revision UInt64 CODEC(T64, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') CODEC(ZSTD(1)),
    row_version UInt128 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY run_id
SETTINGS index_granularity = 512, max_bytes_to_merge_at_max_space_in_pool = 1, parts_to_delay_insert = 5000, parts_to_throw_insert = 50000
COMMENT 'For the backfill: waits by run';

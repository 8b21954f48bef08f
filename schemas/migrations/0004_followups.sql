-- Follow-ups: what was deferred, how each stands, and which waits are theirs.

ALTER TABLE raw_waits
    ADD COLUMN IF NOT EXISTS reply_to String COMMENT 'The follow-up that asks; empty where the answer is a score' CODEC(ZSTD(1)) AFTER attributes;

CREATE TABLE IF NOT EXISTS raw_deferrals
(
    followup_id String COMMENT 'The follow-up' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run' CODEC(ZSTD(1)),
    scorer LowCardinality(String) COMMENT 'Its code',
    version LowCardinality(String) COMMENT 'The version of that code',
    data String COMMENT 'What the code is given, as JSON' CODEC(ZSTD(3)),
    deferred_at DateTime64(6, 'UTC') COMMENT 'When it was deferred' CODEC(Delta, ZSTD(1)),
    since DateTime64(6, 'UTC') COMMENT 'From when events count that it waits for' CODEC(Delta, ZSTD(1)),
    key String COMMENT 'Tells apart deferrals of one scorer on one run' CODEC(ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The run''s agent, where the deferral says it',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Facts that scores inherit; what is no string as JSON' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: what was deferred earlier' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (scorer, followup_id)
COMMENT 'Deferrals: work on runs that was left to code';

CREATE TABLE IF NOT EXISTS raw_followups
(
    followup_id String COMMENT 'The follow-up' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run' CODEC(ZSTD(1)),
    scorer LowCardinality(String) COMMENT 'Its code',
    version LowCardinality(String) COMMENT 'The version of that code',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the deferral says it',
    status LowCardinality(String) COMMENT 'running, waiting, done, failed or undeployed',
    attempts UInt64 COMMENT 'How often its code has failed since it last went well' CODEC(T64, ZSTD(1)),
    error String COMMENT 'What it failed with last' CODEC(ZSTD(3)),
    waiting_for Array(Tuple(subject String, types Array(String), deadline DateTime64(6, 'UTC'))) COMMENT 'What it waits for; without a subject it sleeps' CODEC(ZSTD(1)),
    deferred_at DateTime64(6, 'UTC') COMMENT 'When it was deferred' CODEC(Delta, ZSTD(1)),
    changed_at DateTime64(6, 'UTC') COMMENT 'Since when it stands so' CODEC(Delta, ZSTD(1)),
    revision UInt64 COMMENT 'From 1, one more for each change' CODEC(T64, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the later change' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY followup_id
COMMENT 'Follow-ups: how each stands';

CREATE OR REPLACE VIEW deferrals
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    scorer LowCardinality(String) COMMENT 'Its code',
    version LowCardinality(String) COMMENT 'The version of that code',
    data String COMMENT 'What the code is given, as JSON',
    deferred_at DateTime64(6, 'UTC') COMMENT 'When it was deferred',
    since DateTime64(6, 'UTC') COMMENT 'From when events count that it waits for',
    key String COMMENT 'Tells apart deferrals of one scorer on one run',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the deferral says it',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) COMMENT 'Facts that scores inherit; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    followup_id, run_id, step_id, scorer, version, data, deferred_at, since, key, agent, exposures, attributes,
    recorded_at
FROM raw_deferrals FINAL
COMMENT 'Deferrals: work on runs that was left to code. Of two with one id the one deferred earlier counts';

CREATE OR REPLACE VIEW current_followups
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    scorer LowCardinality(String) COMMENT 'Its code',
    version LowCardinality(String) COMMENT 'The version of that code',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the deferral says it',
    status LowCardinality(String) COMMENT 'running: its code runs or soon will; waiting: for events or a time; done: its code has ended; failed: it raised and is not tried again by itself; undeployed: no worker has that code',
    attempts UInt64 COMMENT 'How often its code has failed since it last went well',
    error String COMMENT 'What it failed with last',
    waiting_for Array(Tuple(subject String, types Array(String), deadline DateTime64(6, 'UTC'))) COMMENT 'What it waits for; without a subject it sleeps',
    deferred_at DateTime64(6, 'UTC') COMMENT 'When it was deferred',
    changed_at DateTime64(6, 'UTC') COMMENT 'Since when it stands so',
    revision UInt64 COMMENT 'From 1, one more for each change',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    followup_id, run_id, step_id, scorer, version, agent, status, attempts, error, waiting_for, deferred_at,
    changed_at, revision, recorded_at
FROM raw_followups FINAL
COMMENT 'Follow-ups: how each stands now';

CREATE OR REPLACE VIEW waits
(
    wait_id String COMMENT 'The wait, unique for its subject',
    run_id String COMMENT 'The run that asks',
    step_id Nullable(String) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    subject String COMMENT 'What it waits for news about',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the wait says it',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    rule String COMMENT 'The rule, as JSON',
    outcome_types Array(LowCardinality(String)) COMMENT 'The outcome types that its rule lists',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    since DateTime64(6, 'UTC') COMMENT 'From when outcomes count',
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) COMMENT 'Facts that the score inherits; what is no string as JSON',
    reply_to String COMMENT 'The follow-up that asks; empty where the answer is a score',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    wait_id, run_id, step_id, name, subject, agent, mode, rule, outcome_types, opened_at, since, deadline,
    exposures, attributes, reply_to, recorded_at
FROM raw_waits FINAL
COMMENT 'Waits: questions about a subject, open or answered. Of two with one id about one subject the one opened earlier counts';

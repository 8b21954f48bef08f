-- The storage tables. Nobody reads them but the views of the next migrations.
--
-- Each is idempotent and free of order: to insert a row again, or rows in another order, changes nothing.
-- The sort key is what a fact is about and never changes; of two rows with one key the higher `row_version`
-- stays, and equal versions mean equal rows, since its low bits are a hash of the whole row.

CREATE TABLE IF NOT EXISTS raw_runs
(
    run_id String CODEC(ZSTD(1)) COMMENT 'The run',
    agent SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'The agent''s name, with when it was said',
    version SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'The agent''s version',
    status SimpleAggregateFunction(max, Tuple(final UInt8, at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'Where the run stands; a final status outranks `running`',
    started_at SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value DateTime64(6, 'UTC'))) CODEC(ZSTD(1)) COMMENT 'When it started',
    ended_at SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value DateTime64(6, 'UTC'))) CODEC(ZSTD(1)) COMMENT 'When it ended',
    session_id SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'The session that it belongs to',
    parent_run_id SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'The run that started it',
    origin SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(1)) COMMENT 'live or replay',
    error SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(3)) COMMENT 'What went wrong',
    input SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(3)) COMMENT 'What the agent was given',
    output SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) CODEC(ZSTD(3)) COMMENT 'What the agent gave',
    attributes SimpleAggregateFunction(maxMap, Map(String, Tuple(at DateTime64(6, 'UTC'), value String))) CODEC(ZSTD(1)) COMMENT 'Free facts, each a register of its own',
    recorded_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)) COMMENT 'When the first event about it was written to Kafka'
)
ENGINE = AggregatingMergeTree
ORDER BY run_id
COMMENT 'Runs: each field is a register that the latest event wins, so that events merge in any order';

CREATE TABLE IF NOT EXISTS raw_steps
(
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that it belongs to',
    step_id String CODEC(ZSTD(1)) COMMENT 'The step, unique in its run',
    attempt UInt64 CODEC(ZSTD(1)) COMMENT 'Which try this is, from 1',
    parent_step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The step around it',
    name LowCardinality(String) COMMENT 'What it is called',
    kind LowCardinality(String) COMMENT 'model, tool, retrieval, function or another word',
    status LowCardinality(String) COMMENT 'running, ok, error or cancelled',
    started_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When it started',
    ended_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When it ended',
    provider LowCardinality(String) COMMENT 'Who serves the model; empty where unknown',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Tokens read, cached ones included',
    output_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Tokens written',
    cached_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)) COMMENT 'Tokens read from a cache',
    cost_usd Nullable(Float64) CODEC(ZSTD(1)) COMMENT 'What it cost in US dollars; NULL where unknown',
    error String CODEC(ZSTD(3)) COMMENT 'What went wrong',
    input String CODEC(ZSTD(3)) COMMENT 'What it was given',
    output String CODEC(ZSTD(3)) COMMENT 'What it gave',
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: done before running, then the later',
    INDEX by_step step_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (run_id, step_id, attempt)
COMMENT 'Steps: one row for each attempt';

CREATE TABLE IF NOT EXISTS raw_outcomes
(
    subject String CODEC(ZSTD(1)) COMMENT 'What it happened to',
    source String CODEC(ZSTD(1)) COMMENT 'Who tells it',
    id String CODEC(ZSTD(1)) COMMENT 'Unique for its source',
    type LowCardinality(String) COMMENT 'What happened',
    time DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it happened',
    data String CODEC(ZSTD(3)) COMMENT 'Facts about it, as JSON',
    topic LowCardinality(String) COMMENT 'Where it was first written: the topic',
    partition UInt64 CODEC(T64, ZSTD(1)) COMMENT 'Where it was first written: the partition',
    offset UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Where it was first written: the offset',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: the earlier time'
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (subject, source, id)
COMMENT 'Outcomes: what happened in the world';

CREATE TABLE IF NOT EXISTS raw_exposures
(
    run_id String CODEC(ZSTD(1)) COMMENT 'The run',
    exposure_id String CODEC(ZSTD(1)) COMMENT 'What the exposure is about: the run and the experiment',
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Float64 CODEC(ZSTD(1)) COMMENT 'How likely that choice was',
    unit String CODEC(ZSTD(1)) COMMENT 'What was randomised; the run where nothing else was said',
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: the earlier exposure'
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (run_id, exposure_id)
COMMENT 'Exposures: which variant of an experiment a run was given';

CREATE TABLE IF NOT EXISTS raw_waits
(
    subject String CODEC(ZSTD(1)) COMMENT 'What it waits for news about',
    wait_id String CODEC(ZSTD(1)) COMMENT 'The wait, unique for its subject',
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that asks',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the wait says it',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    outcome_types Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'The outcome types that its rule lists',
    rule String CODEC(ZSTD(3)) COMMENT 'The rule, as JSON',
    opened_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it began',
    since DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'From when outcomes count',
    deadline DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Until when outcomes count',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) CODEC(ZSTD(1)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Facts that the score inherits; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: the wait that was opened earlier',
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (subject, wait_id)
COMMENT 'Waits: open questions about a subject';

CREATE TABLE IF NOT EXISTS raw_scores
(
    score_id String CODEC(ZSTD(1)) COMMENT 'What the revisions of one score share',
    fact_id String CODEC(ZSTD(1)) COMMENT 'The revision: of the id and its number, or for given scores of the id, the time and the value',
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that it is about',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) CODEC(ZSTD(1)) COMMENT 'The number; booleans are 0 and 1; NULL where the wait expired',
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    key String CODEC(ZSTD(1)) COMMENT 'Tells apart scores of one name on one run',
    revision UInt64 CODEC(T64, ZSTD(1)) COMMENT 'From 1, as the event says it',
    supersedes Nullable(UInt64) CODEC(ZSTD(1)) COMMENT 'The revision that it replaces',
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool CODEC(ZSTD(1)) COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String CODEC(ZSTD(1)) COMMENT 'The subject of the wait that it answers',
    wait_id String CODEC(ZSTD(1)) COMMENT 'The wait that it answers',
    outcome_id String CODEC(ZSTD(1)) COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    source LowCardinality(String) COMMENT 'Who gave it',
    comment String CODEC(ZSTD(3)) COMMENT 'Why, in words',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) CODEC(ZSTD(1)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'Of two with one fact_id the highest counts: the one decided later',
    precedence UInt256 CODEC(ZSTD(1)) COMMENT 'Of one score the highest is current: the last revision; given ones before decided ones, by time',
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_subject subject TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_decided decided_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (score_id, fact_id)
COMMENT 'Scores: every revision';

CREATE TABLE IF NOT EXISTS raw_latest_scores
(
    score_id String CODEC(ZSTD(1)) COMMENT 'What the revisions of one score share',
    fact_id String CODEC(ZSTD(1)) COMMENT 'The revision',
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that it is about',
    step_id Nullable(String) CODEC(ZSTD(1)) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) CODEC(ZSTD(1)) COMMENT 'The number; NULL where there is none (any more)',
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    revision UInt64 CODEC(T64, ZSTD(1)) COMMENT 'From 1, as the event says it',
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool CODEC(ZSTD(1)) COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String CODEC(ZSTD(1)) COMMENT 'The subject of the wait that it answers',
    wait_id String CODEC(ZSTD(1)) COMMENT 'The wait that it answers',
    outcome_id String CODEC(ZSTD(1)) COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) CODEC(ZSTD(1)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Free facts; what is no string as JSON',
    precedence UInt256 CODEC(ZSTD(1)) COMMENT 'The highest is current',
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_subject subject TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY score_id
COMMENT 'Scores: the latest revision alone, so that the current state is quick to read';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_latest_scores_feed TO raw_latest_scores AS
SELECT
    score_id, fact_id, run_id, step_id, name, value, kind, revision, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, exposures, attributes, precedence
FROM raw_scores;

CREATE TABLE IF NOT EXISTS raw_alerts
(
    alert_id String CODEC(ZSTD(1)) COMMENT 'The alert',
    name LowCardinality(String) COMMENT 'Which line was crossed',
    run_id String CODEC(ZSTD(1)) COMMENT 'The run that it is about',
    score_id String CODEC(ZSTD(1)) COMMENT 'The score that crossed it',
    revision UInt64 CODEC(T64, ZSTD(1)) COMMENT 'Which revision of it',
    value Float64 CODEC(ZSTD(1)) COMMENT 'The score''s value; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    message String CODEC(ZSTD(3)) COMMENT 'What to tell people',
    raised_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: the one raised earlier'
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY alert_id
COMMENT 'Alerts: bad outcomes that somebody wants to hear of at once';

CREATE TABLE IF NOT EXISTS raw_dead_letters
(
    dead_letter_id String CODEC(ZSTD(1)) COMMENT 'The dead letter: made from the record''s place and the reason',
    reason LowCardinality(String) COMMENT 'Why it could not be used, as a stable code',
    detail String CODEC(ZSTD(3)) COMMENT 'Why, in words, and what to do',
    topic LowCardinality(String) COMMENT 'Where the record lay: the topic',
    partition UInt64 CODEC(T64, ZSTD(1)) COMMENT 'Where the record lay: the partition',
    offset UInt64 CODEC(Delta, ZSTD(1)) COMMENT 'Where the record lay: the offset',
    key String CODEC(ZSTD(1)) COMMENT 'Its key, the very bytes',
    payload String CODEC(ZSTD(3)) COMMENT 'Its value, the very bytes',
    headers Array(Tuple(name String, value String)) CODEC(ZSTD(1)) COMMENT 'Its headers',
    recorded_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When it was written to Kafka',
    row_version UInt128 CODEC(ZSTD(1)) COMMENT 'The highest counts: the one written earlier'
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY dead_letter_id
COMMENT 'Dead letters: input that could not be used, with its reason and its original bytes';

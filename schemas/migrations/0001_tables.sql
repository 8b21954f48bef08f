-- The storage tables. Nobody reads them but the views of the next migrations.
--
-- Each is idempotent and free of order: to insert a row again, or rows in another order, changes nothing.
-- The sort key is what a fact is about and never changes; of two rows with one key the higher `row_version`
-- stays, and equal versions mean equal rows, since its low bits are a hash of the whole row.

CREATE TABLE IF NOT EXISTS raw_runs
(
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    agent SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'The agent''s name, with when it was said' CODEC(ZSTD(1)),
    version SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'The agent''s version' CODEC(ZSTD(1)),
    status SimpleAggregateFunction(max, Tuple(final UInt8, at DateTime64(6, 'UTC'), value String)) COMMENT 'Where the run stands; a final status outranks `running`' CODEC(ZSTD(1)),
    started_at SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value DateTime64(6, 'UTC'))) COMMENT 'When it started' CODEC(ZSTD(1)),
    ended_at SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value DateTime64(6, 'UTC'))) COMMENT 'When it ended' CODEC(ZSTD(1)),
    session_id SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'The session that it belongs to' CODEC(ZSTD(1)),
    parent_run_id SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'The run that started it' CODEC(ZSTD(1)),
    origin SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'live or replay' CODEC(ZSTD(1)),
    error SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'What went wrong' CODEC(ZSTD(3)),
    input SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'What the agent was given' CODEC(ZSTD(3)),
    output SimpleAggregateFunction(max, Tuple(at DateTime64(6, 'UTC'), value String)) COMMENT 'What the agent gave' CODEC(ZSTD(3)),
    attributes SimpleAggregateFunction(maxMap, Map(String, Tuple(at DateTime64(6, 'UTC'), value String))) COMMENT 'Free facts, each a register of its own' CODEC(ZSTD(1)),
    recorded_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')) COMMENT 'When the first event about it was written to Kafka' CODEC(Delta, ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY run_id
COMMENT 'Runs: each field is a register that the latest event wins, so that events merge in any order';

CREATE TABLE IF NOT EXISTS raw_steps
(
    run_id String COMMENT 'The run that it belongs to' CODEC(ZSTD(1)),
    step_id String COMMENT 'The step, unique in its run' CODEC(ZSTD(1)),
    attempt UInt64 COMMENT 'Which try this is, from 1' CODEC(ZSTD(1)),
    parent_step_id Nullable(String) COMMENT 'The step around it' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'What it is called',
    kind LowCardinality(String) COMMENT 'model, tool, retrieval, function or another word',
    status LowCardinality(String) COMMENT 'running, ok, error or cancelled',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started' CODEC(ZSTD(1)),
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended' CODEC(ZSTD(1)),
    provider LowCardinality(String) COMMENT 'Who serves the model; empty where unknown',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read, cached ones included' CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt64) COMMENT 'Tokens written' CODEC(T64, ZSTD(1)),
    cached_input_tokens Nullable(UInt64) COMMENT 'Tokens read from a cache' CODEC(T64, ZSTD(1)),
    cost_usd Nullable(Float64) COMMENT 'What it cost in US dollars; NULL where unknown' CODEC(ZSTD(1)),
    error String COMMENT 'What went wrong' CODEC(ZSTD(3)),
    input String COMMENT 'What it was given' CODEC(ZSTD(3)),
    output String COMMENT 'What it gave' CODEC(ZSTD(3)),
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: done before running, then the later' CODEC(ZSTD(1)),
    INDEX by_step step_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (run_id, step_id, attempt)
COMMENT 'Steps: one row for each attempt';

CREATE TABLE IF NOT EXISTS raw_outcomes
(
    subject String COMMENT 'What it happened to' CODEC(ZSTD(1)),
    source String COMMENT 'Who tells it' CODEC(ZSTD(1)),
    id String COMMENT 'Unique for its source' CODEC(ZSTD(1)),
    type LowCardinality(String) COMMENT 'What happened',
    time DateTime64(6, 'UTC') COMMENT 'When it happened' CODEC(Delta, ZSTD(1)),
    data String COMMENT 'Facts about it, as JSON' CODEC(ZSTD(3)),
    topic LowCardinality(String) COMMENT 'Where it was first written: the topic',
    partition UInt64 COMMENT 'Where it was first written: the partition' CODEC(T64, ZSTD(1)),
    offset UInt64 COMMENT 'Where it was first written: the offset' CODEC(Delta, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the earlier time' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (subject, source, id)
COMMENT 'Outcomes: what happened in the world';

CREATE TABLE IF NOT EXISTS raw_exposures
(
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    exposure_id String COMMENT 'What the exposure is about: the run and the experiment' CODEC(ZSTD(1)),
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Float64 COMMENT 'How likely that choice was' CODEC(ZSTD(1)),
    unit String COMMENT 'What was randomised; the run where nothing else was said' CODEC(ZSTD(1)),
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When' CODEC(Delta, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the earlier exposure' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (run_id, exposure_id)
COMMENT 'Exposures: which variant of an experiment a run was given';

CREATE TABLE IF NOT EXISTS raw_waits
(
    subject String COMMENT 'What it waits for news about' CODEC(ZSTD(1)),
    wait_id String COMMENT 'The wait, unique for its subject' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that asks' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that asks' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'The name of the score',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the wait says it',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    outcome_types Array(LowCardinality(String)) COMMENT 'The outcome types that its rule lists' CODEC(ZSTD(1)),
    rule String COMMENT 'The rule, as JSON' CODEC(ZSTD(3)),
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began' CODEC(Delta, ZSTD(1)),
    since DateTime64(6, 'UTC') COMMENT 'From when outcomes count' CODEC(Delta, ZSTD(1)),
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count' CODEC(Delta, ZSTD(1)),
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Facts that the score inherits; what is no string as JSON' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the wait that was opened earlier' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (subject, wait_id)
COMMENT 'Waits: open questions about a subject';

CREATE TABLE IF NOT EXISTS raw_scores
(
    score_id String COMMENT 'What the revisions of one score share' CODEC(ZSTD(1)),
    fact_id String COMMENT 'The revision: of the id and its number, or for given scores of the id, the time and the value' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; booleans are 0 and 1; NULL where the wait expired' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    key String COMMENT 'Tells apart scores of one name on one run' CODEC(ZSTD(1)),
    revision UInt64 COMMENT 'From 1, as the event says it' CODEC(T64, ZSTD(1)),
    supersedes Nullable(UInt64) COMMENT 'The revision that it replaces' CODEC(ZSTD(1)),
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged' CODEC(ZSTD(1)),
    subject String COMMENT 'The subject of the wait that it answers' CODEC(ZSTD(1)),
    wait_id String COMMENT 'The wait that it answers' CODEC(ZSTD(1)),
    outcome_id String COMMENT 'The outcome that decided it' CODEC(ZSTD(1)),
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened' CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided' CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    source LowCardinality(String) COMMENT 'Who gave it',
    comment String COMMENT 'Why, in words' CODEC(ZSTD(3)),
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'Of two with one fact_id the highest counts: the one decided later' CODEC(ZSTD(1)),
    precedence UInt256 COMMENT 'Of one score the highest is current: the last revision; given ones before decided ones, by time' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_subject subject TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_decided decided_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (score_id, fact_id)
COMMENT 'Scores: every revision';

CREATE TABLE IF NOT EXISTS raw_latest_scores
(
    score_id String COMMENT 'What the revisions of one score share' CODEC(ZSTD(1)),
    fact_id String COMMENT 'The revision' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; NULL where there is none (any more)' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    revision UInt64 COMMENT 'From 1, as the event says it' CODEC(T64, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged' CODEC(ZSTD(1)),
    subject String COMMENT 'The subject of the wait that it answers' CODEC(ZSTD(1)),
    wait_id String COMMENT 'The wait that it answers' CODEC(ZSTD(1)),
    outcome_id String COMMENT 'The outcome that decided it' CODEC(ZSTD(1)),
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened' CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided' CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON' CODEC(ZSTD(1)),
    precedence UInt256 COMMENT 'The highest is current' CODEC(ZSTD(1)),
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
    alert_id String COMMENT 'The alert' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'Which line was crossed',
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    score_id String COMMENT 'The score that crossed it' CODEC(ZSTD(1)),
    revision UInt64 COMMENT 'Which revision of it' CODEC(T64, ZSTD(1)),
    value Float64 COMMENT 'The score''s value; booleans are 0 and 1' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'number or boolean',
    message String COMMENT 'What to tell people' CODEC(ZSTD(3)),
    raised_at DateTime64(6, 'UTC') COMMENT 'When' CODEC(Delta, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the one raised earlier' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY alert_id
COMMENT 'Alerts: bad outcomes that somebody wants to hear of at once';

CREATE TABLE IF NOT EXISTS raw_dead_letters
(
    dead_letter_id String COMMENT 'The dead letter: made from the record''s place and the reason' CODEC(ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why it could not be used, as a stable code',
    detail String COMMENT 'Why, in words, and what to do' CODEC(ZSTD(3)),
    topic LowCardinality(String) COMMENT 'Where the record lay: the topic',
    partition UInt64 COMMENT 'Where the record lay: the partition' CODEC(T64, ZSTD(1)),
    offset UInt64 COMMENT 'Where the record lay: the offset' CODEC(Delta, ZSTD(1)),
    key String COMMENT 'Its key, the very bytes' CODEC(ZSTD(1)),
    payload String COMMENT 'Its value, the very bytes' CODEC(ZSTD(3)),
    headers Array(Tuple(name String, value String)) COMMENT 'Its headers' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: the one written earlier' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY dead_letter_id
COMMENT 'Dead letters: input that could not be used, with its reason and its original bytes';

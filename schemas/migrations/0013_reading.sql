-- Tables for reading: complete rows in the order of time, written anew for the runs that changed, so that
-- questions need no join. Raw tables stay the truth. The views of this migration read the exact views; once the rows of
-- all runs are written, the migrator lets them read the tables (processors/materialize/views.sql).
--
-- Facts by run feed `changed_runs`, each through its own table: ClickHouse commits a table before the views
-- fed by it, so that whoever reads a changed run reads the fact as well.

CREATE TABLE IF NOT EXISTS changed_runs
(
    inserted_at DateTime64(6, 'UTC') COMMENT 'When the fact was inserted' CODEC(Delta, ZSTD(1)),
    run_id String COMMENT 'The run whose rows are written anew; empty for a cancellation that does not say its run' CODEC(ZSTD(1)),
    subject String COMMENT 'Of such a cancellation the subject' CODEC(ZSTD(1)),
    wait_id String COMMENT 'And the wait' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the fact was written to Kafka' CODEC(Delta, ZSTD(1))
)
ENGINE = MergeTree
ORDER BY inserted_at
TTL toDateTime(inserted_at) + INTERVAL 1 DAY
SETTINGS ttl_only_drop_parts = 0
COMMENT 'Runs with new facts, a row for each fact, for a day';

CREATE TABLE IF NOT EXISTS raw_keys_by_run
(
    run_id String COMMENT 'The run, as the fact says it' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'Of a score: number, boolean or, without a value, empty; of a wait: wait',
    name LowCardinality(String) COMMENT 'Of a score: its name',
    deadline DateTime64(6, 'UTC') COMMENT 'Of a wait: until when outcomes count' CODEC(ZSTD(1)),
    key UInt64 COMMENT 'Hash of the score''s id, or of the wait''s subject and id' CODEC(ZSTD(1)),
    link UInt64 COMMENT 'Of a score that answers a wait: hash of the wait''s subject and id; else 0' CODEC(ZSTD(1)),
    fact UInt32 COMMENT 'Of a score: hash of the revision' CODEC(ZSTD(1)),
    given Bool COMMENT 'Of a score: whether it was given' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (run_id, kind, name, deadline, key, link, fact, given)
SETTINGS index_granularity = 512
COMMENT 'By run: the keys of its scores and waits, also of those that another run''s replaced';

CREATE TABLE IF NOT EXISTS raw_carried_exposures
(
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was' CODEC(ZSTD(1)),
    first_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')) COMMENT 'When the first wait or score that carries it was opened or decided' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (run_id, experiment, variant, phase, probability)
SETTINGS allow_nullable_key = 1, index_granularity = 512
COMMENT 'Exposures that waits and scores carry';

CREATE TABLE IF NOT EXISTS raw_alias_pairs
(
    run_id String COMMENT 'A run or the id of a trace' CODEC(ZSTD(1)),
    other String COMMENT 'The trace or the run that is the same run, now or once' CODEC(ZSTD(1)),
    of_trace Bool COMMENT 'Whether the other is the trace' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (run_id, other, of_trace)
SETTINGS index_granularity = 512
COMMENT 'Traces whose root says another run id, both ways';

CREATE TABLE IF NOT EXISTS raw_first_numbers
(
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'The free fact',
    first SimpleAggregateFunction(min, Tuple(at DateTime64(6, 'UTC'), value Float64)) COMMENT 'When a number was first stated for it, and the number' CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (run_id, name)
SETTINGS index_granularity = 512
COMMENT 'Free facts of runs that are numbers, as they were first stated';

CREATE TABLE IF NOT EXISTS raw_changed_scores
(
    score_id String COMMENT 'What the revisions of one score share' CODEC(ZSTD(1)),
    fact_id String COMMENT 'The revision' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; NULL where there is none (any more)' CODEC(ZSTD(1)),
    revision UInt64 COMMENT 'From 1, as the event says it' CODEC(T64, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged' CODEC(ZSTD(1)),
    subject String COMMENT 'The subject of the wait that it answers' CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'Of two with one fact_id the highest counts' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (score_id, fact_id)
COMMENT 'Revisions that changed a score after it was decided, and late ones: a few of all scores';

CREATE TABLE IF NOT EXISTS raw_claims
(
    run_hash UInt64 COMMENT 'Hash of the run id' CODEC(Delta, ZSTD(1)),
    place DateTime64(6, 'UTC') COMMENT 'The started_at under which its rows were or will be written' CODEC(ZSTD(1)),
    version SimpleAggregateFunction(max, UInt64) COMMENT 'The version of these rows: a number that grows with each writing, and who writes' CODEC(T64, ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (run_hash, place)
SETTINGS index_granularity = 512
COMMENT 'Where the rows of each run stand: claimed before they are written';

CREATE TABLE IF NOT EXISTS raw_scored_runs
(
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    started_at DateTime64(6, 'UTC') COMMENT 'When it started; 1970-01-01 where unknown' CODEC(Delta, ZSTD(1)),
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended; NULL where unknown' CODEC(ZSTD(1)),
    latency_seconds Nullable(Float64) COMMENT 'Seconds from start to end; NULL where one is unknown' CODEC(ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The agent''s name; empty where unknown',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'running, completed, failed or cancelled',
    session_id String COMMENT 'The session that it belongs to' CODEC(ZSTD(1)),
    parent_run_id String COMMENT 'The run that started it' CODEC(ZSTD(1)),
    origin LowCardinality(String) COMMENT 'live or replay',
    error String COMMENT 'What went wrong' CODEC(ZSTD(3)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the first event about it was written to Kafka' CODEC(Delta, ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts' CODEC(ZSTD(1)),
    model LowCardinality(String) COMMENT 'The model of most of its steps, of several the first by name; empty where unknown',
    models Array(LowCardinality(String)) COMMENT 'All of its models, sorted' CODEC(ZSTD(1)),
    steps UInt32 COMMENT 'Steps, every attempt' CODEC(T64, ZSTD(1)),
    failed_steps UInt32 COMMENT 'Steps with an error' CODEC(T64, ZSTD(1)),
    input_tokens Nullable(UInt64) COMMENT 'Tokens read' CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt64) COMMENT 'Tokens written' CODEC(T64, ZSTD(1)),
    cost_usd Nullable(Float64) COMMENT 'What its steps cost; NULL where unknown' CODEC(ZSTD(1)),
    experiments Array(LowCardinality(String)) COMMENT 'Its experiments' CODEC(ZSTD(1)),
    variants Array(LowCardinality(String)) COMMENT 'The variant of each' CODEC(ZSTD(1)),
    score_names Array(LowCardinality(String)) COMMENT 'Names of its current scores, sorted' CODEC(ZSTD(1)),
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each' CODEC(ZSTD(1)),
    score_values Array(Float64) COMMENT 'The value of each' CODEC(ZSTD(1)),
    row_version UInt64 COMMENT 'The highest counts' CODEC(T64, ZSTD(1)),
    gone UInt8 COMMENT '1: not here any more' CODEC(T64, ZSTD(1)),
    INDEX by_agent agent TYPE set(32) GRANULARITY 1,
    INDEX by_status status TYPE set(8) GRANULARITY 1,
    INDEX by_latency latency_seconds TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version, gone)
PARTITION BY toYYYYMM(started_at)
ORDER BY (started_at, run_id)
COMMENT 'Runs in the order of time, each with what belongs to it';

CREATE TABLE IF NOT EXISTS raw_score_rows
(
    name LowCardinality(String) COMMENT 'What is scored',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown' CODEC(Delta, ZSTD(1)),
    score_key UInt32 COMMENT 'Hash of the score''s id' CODEC(ZSTD(1)),
    score_id String COMMENT 'What the revisions of one score share' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that it is about' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run' CODEC(ZSTD(1)),
    value Float64 COMMENT 'The number; booleans are 0 and 1' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'number or boolean',
    revision UInt64 COMMENT 'From 1, one more for each change of mind; of a given score its place among those of its name''s kind' CODEC(T64, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged' CODEC(ZSTD(1)),
    subject String COMMENT 'The subject of the wait that it answers' CODEC(ZSTD(1)),
    outcome_id String COMMENT 'The outcome that decided it' CODEC(ZSTD(1)),
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened' CODEC(ZSTD(1)),
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided' CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The agent: as the score says it, else as its run does',
    run_known Bool COMMENT 'Whether any event about the run has arrived' CODEC(ZSTD(1)),
    version LowCardinality(String) COMMENT 'The agent''s version, from the run',
    status LowCardinality(String) COMMENT 'Where the run stands',
    session_id String COMMENT 'The session of the run' CODEC(ZSTD(1)),
    origin LowCardinality(String) COMMENT 'live or replay',
    wait_opened_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the wait that it answers began' CODEC(ZSTD(1)),
    wait_deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when outcomes count for that wait' CODEC(ZSTD(1)),
    model LowCardinality(String) COMMENT 'The run''s model',
    latency_micros Nullable(Int64) COMMENT 'Microseconds that the run took' CODEC(T64, ZSTD(1)),
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the score carries' CODEC(ZSTD(1)),
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run' CODEC(ZSTD(1)),
    place UInt32 COMMENT 'Place among the scores of its name and kind that the run has, the highest value first: each run has one place 1' CODEC(T64, ZSTD(1)),
    row_version UInt64 COMMENT 'The highest counts' CODEC(T64, ZSTD(1)),
    gone UInt8 COMMENT '1: not here any more' CODEC(T64, ZSTD(1)),
    INDEX by_decided decided_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version, gone)
PARTITION BY toYYYYMM(started_at)
ORDER BY (name, started_at, run_id, score_key, kind)
COMMENT 'Current scores by name, in the order of time, each with its run';

CREATE TABLE IF NOT EXISTS raw_exposure_rows
(
    experiment LowCardinality(String) COMMENT 'The experiment',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown' CODEC(Delta, ZSTD(1)),
    exposure_key UInt64 COMMENT 'Hash of what tells apart exposures of one run' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run' CODEC(ZSTD(1)),
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was' CODEC(ZSTD(1)),
    unit String COMMENT 'What was randomised; empty: the run' CODEC(ZSTD(1)),
    unit_key UInt64 COMMENT 'Hash of the unit' CODEC(ZSTD(1)),
    place UInt64 COMMENT 'Its place in the order of its unit''s exposures: when it was exposed or recorded, whichever is first, then a hash' CODEC(Delta, ZSTD(1)),
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When' CODEC(Delta, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka; of what is carried, when the first wait or score that carries it was opened or decided' CODEC(Delta, ZSTD(1)),
    carried Bool COMMENT 'Whether waits or scores alone say it' CODEC(ZSTD(1)),
    run_known Bool COMMENT 'Whether any event about the run has arrived' CODEC(ZSTD(1)),
    agent LowCardinality(String) COMMENT 'The run''s agent',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'Where the run stands',
    origin LowCardinality(String) COMMENT 'live or replay',
    model LowCardinality(String) COMMENT 'The run''s model',
    latency_seconds Nullable(Float64) COMMENT 'Seconds that the run took' CODEC(ZSTD(1)),
    steps UInt32 COMMENT 'The run''s steps, every attempt' CODEC(T64, ZSTD(1)),
    input_tokens Nullable(UInt64) COMMENT 'Tokens read by them' CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt64) COMMENT 'Tokens written by them' CODEC(T64, ZSTD(1)),
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts' CODEC(ZSTD(1)),
    earlier_numbers Map(LowCardinality(String), Float64) COMMENT 'Free facts that are numbers, as they were first stated, if that was before the exposure' CODEC(ZSTD(1)),
    subjects Array(UInt64) COMMENT 'Hashes of the subjects that the run waits for' CODEC(ZSTD(1)),
    answer_names Array(LowCardinality(String)) COMMENT 'What is known of the run by name of a score, from one instant to the next: the name' CODEC(ZSTD(1)),
    answer_began Array(DateTime64(6, 'UTC')) COMMENT 'From when this is known: when it was written to Kafka' CODEC(ZSTD(1)),
    answer_ended Array(DateTime64(6, 'UTC')) COMMENT 'Until when; 2299-12-31 for what is known now' CODEC(ZSTD(1)),
    answer_values Array(Nullable(Float64)) COMMENT 'The mean of the run''s scores with that name; NULL where there is none' CODEC(ZSTD(1)),
    answer_causes Array(LowCardinality(String)) COMMENT 'How it came about: outcome, deadline, expired, open, or before_exposure for an outcome from before' CODEC(ZSTD(1)),
    answer_revised_at Array(DateTime64(6, 'UTC')) COMMENT 'When its last revision was decided; 1970-01-01 where nothing was revised, and nothing at all where no answer was' CODEC(ZSTD(1)),
    answer_occurred_at Array(DateTime64(6, 'UTC')) COMMENT 'When the outcome behind it happened; 1970-01-01 where it came about by none' CODEC(ZSTD(1)),
    score_names Array(LowCardinality(String)) COMMENT 'Names of the run''s current scores, sorted' CODEC(ZSTD(1)),
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each' CODEC(ZSTD(1)),
    score_values Array(Float64) COMMENT 'The value of each' CODEC(ZSTD(1)),
    row_version UInt64 COMMENT 'The highest counts' CODEC(T64, ZSTD(1)),
    gone UInt8 COMMENT '1: not here any more' CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version, gone)
PARTITION BY toYYYYMM(started_at)
ORDER BY (experiment, started_at, run_id, exposure_key)
COMMENT 'Exposures by experiment, in the order of time, each with its run and the run''s scores';

CREATE TABLE IF NOT EXISTS raw_open_waits
(
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count' CODEC(Delta, ZSTD(1)),
    wait_key UInt64 COMMENT 'Hash of the subject and the wait' CODEC(ZSTD(1)),
    subject String COMMENT 'What it waits for news about' CODEC(ZSTD(1)),
    wait_id String COMMENT 'The wait, unique for its subject' CODEC(ZSTD(1)),
    run_id String COMMENT 'The run that asks' CODEC(ZSTD(1)),
    step_id Nullable(String) COMMENT 'The step that asks' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'The name of the score',
    agent LowCardinality(String) COMMENT 'The agent: as the wait says it, else as its run does',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began' CODEC(Delta, ZSTD(1)),
    answered Bool COMMENT 'Whether a score answers it: until its deadline it may be revised' CODEC(ZSTD(1)),
    origin LowCardinality(String) COMMENT 'live or replay',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the wait carries' CODEC(ZSTD(1)),
    row_version UInt64 COMMENT 'The highest counts' CODEC(T64, ZSTD(1)),
    gone UInt8 COMMENT '1: not open any more' CODEC(T64, ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version, gone)
ORDER BY (deadline, run_id, wait_key)
COMMENT 'Open waits by deadline, each with its run';

CREATE TABLE IF NOT EXISTS raw_backfill
(
    work LowCardinality(String) COMMENT 'What is done: scores, waits: their keys by run; numbers; aliases; changes: from here on new facts are noted; runs: rows are written; views: they read the tables',
    plan UInt64 COMMENT 'The plan that the piece is from: of several the lowest counts',
    piece UInt32 COMMENT 'The number of the range' CODEC(T64, ZSTD(1)),
    first String COMMENT 'The first key of the range; empty: no beginning' CODEC(ZSTD(1)),
    last String COMMENT 'The first key behind it; empty: no end' CODEC(ZSTD(1)),
    done UInt8 COMMENT 'Whether it is done',
    at DateTime64(6, 'UTC') COMMENT 'When it was planned or done'
)
ENGINE = ReplacingMergeTree(done)
ORDER BY (work, plan, piece)
COMMENT 'How far the rows of runs from before these tables are written';

CREATE TABLE IF NOT EXISTS raw_read_up_to
(
    slots UInt32 COMMENT 'Into how many parts the runs are divided' CODEC(T64, ZSTD(1)),
    slot UInt32 COMMENT 'The part' CODEC(T64, ZSTD(1)),
    at DateTime64(6, 'UTC') COMMENT 'Facts inserted until then are in the rows' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (slots, slot)
COMMENT 'How far the rows follow the facts';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_keys_of_scores_feed TO raw_keys_by_run AS
SELECT DISTINCT
    run_id, kind, name, toDateTime64(0, 6, 'UTC') AS deadline, sipHash64(score_id) AS key,
    if(wait_id = '', 0, sipHash64(subject, wait_id)) AS link, toUInt32(sipHash64(fact_id) % 4294967296) AS fact, toBool(reason = 'given') AS given
FROM raw_scores;

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_keys_of_waits_feed TO raw_keys_by_run AS
SELECT DISTINCT
    run_id, 'wait' AS kind, '' AS name, deadline, sipHash64(subject, wait_id) AS key, 0 AS link, 0 AS fact, false AS given
FROM raw_waits;

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_changed_scores_feed TO raw_changed_scores AS
SELECT score_id, fact_id, run_id, name, value, revision, reason, late, subject, decided_at, row_version
FROM raw_scores
WHERE (revision > 1 OR late);

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_carried_by_scores_feed TO raw_carried_exposures AS
SELECT
    run_id, exposure.1 AS experiment, exposure.2 AS variant, exposure.3 AS phase,
    nullIf(exposure.4, 0) AS probability, decided_at AS first_at
FROM raw_scores
ARRAY JOIN exposures AS exposure;

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_carried_by_waits_feed TO raw_carried_exposures AS
SELECT
    run_id, exposure.1 AS experiment, exposure.2 AS variant, exposure.3 AS phase,
    nullIf(exposure.4, 0) AS probability, opened_at AS first_at
FROM raw_waits
ARRAY JOIN exposures AS exposure;

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_alias_pairs_feed TO raw_alias_pairs AS
SELECT pair.1 AS run_id, pair.2 AS other, toBool(pair.3) AS of_trace
FROM (SELECT arrayJoin([(run_id, known_as, 0), (known_as, run_id, 1)]) AS pair FROM raw_run_aliases WHERE known_as != '');

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_first_numbers_feed TO raw_first_numbers AS
SELECT run_id, fact.1 AS name, tuple(tupleElement(fact.2, 1), toFloat64OrZero(tupleElement(fact.2, 2))) AS first
FROM (SELECT run_id, arrayJoin(attributes) AS fact FROM raw_runs)
WHERE isFinite(toFloat64OrNull(tupleElement(fact.2, 2)));

CREATE OR REPLACE VIEW run_usage
(
    run_id String COMMENT 'The run',
    steps UInt32 COMMENT 'Steps, every attempt',
    failed_steps UInt32 COMMENT 'Steps with an error',
    models Array(LowCardinality(String)) COMMENT 'The models of its steps, sorted',
    model LowCardinality(String) COMMENT 'The model of most of its steps, of several the first by name; empty where unknown',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written',
    cost_usd Nullable(Float64) COMMENT 'What its steps cost; NULL where unknown'
)
AS
SELECT
    run_id, steps, failed_steps,
    CAST(arraySort(mapKeys(by_model)), 'Array(LowCardinality(String))') AS models,
    CAST(
        arrayElement(arraySort((one, calls) -> (-calls, one), mapKeys(by_model), mapValues(by_model)), 1),
        'LowCardinality(String)'
    ) AS model,
    read_tokens AS input_tokens, written_tokens AS output_tokens,
    if(empty(costs), NULL, arraySum(arraySort(costs))) AS cost_usd
FROM
(
    SELECT
        run_id,
        toUInt32(count()) AS steps,
        toUInt32(countIf(step.status = 'error')) AS failed_steps,
        sumMapIf(map(toString(step.model), toUInt64(1)), step.model != '') AS by_model,
        sum(step.input_tokens) AS read_tokens,
        sum(step.output_tokens) AS written_tokens,
        groupArrayIf(assumeNotNull(step.cost_usd), step.cost_usd IS NOT NULL) AS costs
    FROM steps AS step
    GROUP BY run_id
)
COMMENT 'What the steps of a run used, together. Exact, and slow for many runs: scored_runs has the same';

CREATE OR REPLACE VIEW exact_score_rows
(
    name LowCardinality(String) COMMENT 'What is scored',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown',
    run_key UInt128 COMMENT 'Hash of the run id',
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    value Float64 COMMENT 'The number; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    revision UInt64 COMMENT 'From 1, one more for each change of mind; of a given score its place among those of its name''s kind',
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The agent: as the score says it, else as its run does',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    version LowCardinality(String) COMMENT 'The agent''s version, from the run',
    status LowCardinality(String) COMMENT 'Where the run stands',
    session_id String COMMENT 'The session of the run',
    origin LowCardinality(String) COMMENT 'live or replay',
    wait_opened_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the wait that it answers began',
    wait_deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when outcomes count for that wait',
    model String COMMENT 'The run''s model',
    latency_seconds Nullable(Float64) COMMENT 'Seconds that the run took',
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the score carries',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run',
    place UInt32 COMMENT 'Place among the scores of its name and kind that the run has, the highest value first: each run has one place 1'
)
AS
SELECT
    score.name AS name,
    ifNull(score.run_started_at, toDateTime64(0, 6, 'UTC')) AS started_at,
    reinterpretAsUInt128(sipHash128(score.run_id)) AS run_key,
    score.score_id AS score_id, score.run_id AS run_id, score.step_id AS step_id, score.value AS value,
    score.kind AS kind, score.revision AS revision, score.reason AS reason, score.late AS late,
    score.subject AS subject, score.outcome_id AS outcome_id,
    score.occurred_at AS occurred_at, score.decided_at AS decided_at,
    CAST(score.agent, 'LowCardinality(String)') AS agent, score.run_known AS run_known,
    CAST(score.version, 'LowCardinality(String)') AS version, CAST(score.status, 'LowCardinality(String)') AS status,
    score.session_id AS session_id, CAST(score.origin, 'LowCardinality(String)') AS origin,
    if(wait.wait_id = '', NULL, wait.opened_at) AS wait_opened_at,
    if(wait.wait_id = '', NULL, wait.deadline) AS wait_deadline,
    if(score.run_known, usage.model, '') AS model,
    (toUnixTimestamp64Micro(run.ended_at) - toUnixTimestamp64Micro(run.started_at)) / 1e6 AS latency_seconds,
    if(score.run_known, usage.cost_usd, NULL) AS cost_usd,
    CAST(score.attributes, 'Map(LowCardinality(String), String)') AS attributes,
    score.exposures AS exposures,
    toUInt32(row_number() OVER (PARTITION BY score.name, score.kind, score.run_id ORDER BY score.value DESC, score.score_id))
        AS place
FROM current_scores AS score
LEFT ANY JOIN (SELECT subject, wait_id, opened_at, deadline FROM waits WHERE wait_id != '') AS wait
    ON wait.subject = score.subject AND wait.wait_id = score.wait_id
LEFT ANY JOIN runs AS run ON run.run_id = score.run_id
LEFT ANY JOIN run_usage AS usage ON usage.run_id = score.run_id
COMMENT 'What score_rows shows until the rows of all runs are written: exact, and slow for many runs';

CREATE OR REPLACE VIEW run_answers
(
    run_id String COMMENT 'The run',
    answers Array(Tuple(name String, began DateTime64(6, 'UTC'), ended DateTime64(6, 'UTC'), value Nullable(Float64), occurred_at Nullable(DateTime64(6, 'UTC')), decided_at DateTime64(6, 'UTC'), reason String, revised UInt8, expired UInt8)) COMMENT 'What is known by name of a score, from one instant to the next, in their order'
)
AS
WITH
    stated AS
    (
        SELECT
            if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS known_run,
            toString(told.name) AS name, told.score_id AS score_id, told.precedence AS precedence,
            told.recorded_at AS recorded_at, told.value AS value, told.occurred_at AS occurred_at,
            told.decided_at AS decided_at, toString(told.reason) AS reason, told.revision > 1 AS revised
        FROM (SELECT * FROM scores WHERE step_id IS NULL) AS told
        LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
    ),
    waited AS
    (
        SELECT
            if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS known_run,
            toString(told.name) AS name, min(told.recorded_at) AS recorded_at
        FROM waits AS told
        LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
        GROUP BY known_run, name
    ),
    facts AS
    (
        SELECT
            known_run, name, value, occurred_at, decided_at, reason, revised, false AS is_wait,
            recorded_at AS began,
            min(recorded_at) OVER
            (
                PARTITION BY known_run, name, score_id ORDER BY precedence
                ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS next_at,
            if(toUnixTimestamp64Micro(next_at) = 0, toDateTime64('2299-12-31 00:00:00', 6, 'UTC'), next_at) AS ended
        FROM stated
        UNION ALL
        SELECT
            known_run, name, NULL, NULL, toDateTime64(0, 6, 'UTC'), '', false, true, recorded_at,
            toDateTime64(0, 6, 'UTC'), toDateTime64('2299-12-31 00:00:00', 6, 'UTC')
        FROM waited
    ),
    known AS
    (
        SELECT
            known_run, name, arrayJoin(arrayFilter(instant -> instant >= began AND instant < ended, instants)) AS at,
            avg(value) AS mean, max(occurred_at) AS occurred, max(decided_at) AS decided, max(reason) AS why,
            max(revised) AS any_revised, max(NOT is_wait AND value IS NULL) AS any_expired
        FROM
        (
            SELECT *, groupUniqArray(began) OVER (PARTITION BY known_run, name) AS instants
            FROM facts
            WHERE ended > began
        )
        GROUP BY known_run, name, at
    )
SELECT
    known_run AS run_id,
    CAST(
        arrayMap(
            (state, next) -> (
                state.1, state.2,
                if(next.1 = state.1, next.2, toDateTime64('2299-12-31 00:00:00', 6, 'UTC')),
                state.3, state.4, state.5, state.6, state.7, state.8
            ),
            arraySort(groupArray((name, at, mean, occurred, decided, why, any_revised, any_expired))) AS states,
            arrayShiftLeft(states, 1)
        ),
        'Array(Tuple(name String, began DateTime64(6, \'UTC\'), ended DateTime64(6, \'UTC\'), value Nullable(Float64), occurred_at Nullable(DateTime64(6, \'UTC\')), decided_at DateTime64(6, \'UTC\'), reason String, revised UInt8, expired UInt8))'
    ) AS answers
FROM known
GROUP BY known_run
COMMENT 'What was known of each run''s scores, as of every instant. Exact, and slow for many runs: exposure_rows has the same';

CREATE OR REPLACE VIEW exact_exposures
(
    run_id String COMMENT 'The run',
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was; NULL where nobody knows',
    unit String COMMENT 'What was randomised; the run where nothing else was said',
    strategy String COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    carried Bool COMMENT 'Whether waits or scores alone say it'
)
AS
SELECT
    if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id,
    toString(told.experiment) AS experiment, toString(told.variant) AS variant, toString(told.phase) AS phase,
    CAST(told.probability, 'Nullable(Float64)') AS probability,
    if(told.unit = told.run_id, run_id, told.unit) AS unit, toString(told.strategy) AS strategy,
    told.exposed_at AS exposed_at, told.recorded_at AS recorded_at, false AS carried
FROM (SELECT * FROM raw_exposures FINAL) AS told
LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
UNION ALL
SELECT
    known_run AS run_id, toString(experiment) AS experiment, toString(variant) AS variant, toString(phase) AS phase,
    probability, known_run AS unit, '' AS strategy, min(first_at) AS exposed_at, exposed_at AS recorded_at,
    true AS carried
FROM
(
    SELECT told.* EXCEPT run_id, if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS known_run
    FROM raw_carried_exposures AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
)
WHERE (known_run, experiment) NOT IN
(
    SELECT if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')), told.experiment
    FROM raw_exposures AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
)
GROUP BY known_run, experiment, variant, phase, probability
COMMENT 'Exposures recorded for runs, and those that waits or scores alone carry';

CREATE OR REPLACE VIEW exact_runs
(
    run_id String COMMENT 'The run',
    run_key UInt128 COMMENT 'Hash of the run id',
    started_at DateTime64(6, 'UTC') COMMENT 'When it started; 1970-01-01 where unknown',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended; NULL where unknown',
    latency_seconds Nullable(Float64) COMMENT 'Seconds from start to end; NULL where one is unknown',
    agent LowCardinality(String) COMMENT 'The agent''s name; empty where unknown',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'running, completed, failed or cancelled',
    session_id String COMMENT 'The session that it belongs to',
    parent_run_id String COMMENT 'The run that started it',
    origin LowCardinality(String) COMMENT 'live or replay',
    error String COMMENT 'What went wrong',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the first event about it was written to Kafka',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts',
    model LowCardinality(String) COMMENT 'The model of most of its steps, of several the first by name; empty where unknown',
    models Array(LowCardinality(String)) COMMENT 'All of its models, sorted',
    steps UInt32 COMMENT 'Steps, every attempt',
    failed_steps UInt32 COMMENT 'Steps with an error',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written',
    cost_usd Nullable(Float64) COMMENT 'What its steps cost; NULL where unknown',
    experiments Array(LowCardinality(String)) COMMENT 'Its experiments',
    variants Array(LowCardinality(String)) COMMENT 'The variant of each',
    score_names Array(LowCardinality(String)) COMMENT 'Names of its current scores, sorted',
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each',
    score_values Array(Float64) COMMENT 'The value of each'
)
AS
SELECT
    run.run_id AS run_id,
    reinterpretAsUInt128(sipHash128(run.run_id)) AS run_key,
    ifNull(run.started_at, toDateTime64(0, 6, 'UTC')) AS started_at,
    run.ended_at AS ended_at,
    (toUnixTimestamp64Micro(run.ended_at) - toUnixTimestamp64Micro(run.started_at)) / 1e6 AS latency_seconds,
    CAST(run.agent, 'LowCardinality(String)') AS agent,
    CAST(run.version, 'LowCardinality(String)') AS version,
    CAST(run.status, 'LowCardinality(String)') AS status,
    run.session_id AS session_id,
    run.parent_run_id AS parent_run_id,
    CAST(run.origin, 'LowCardinality(String)') AS origin,
    run.error AS error,
    run.recorded_at AS recorded_at,
    CAST(run.attributes, 'Map(LowCardinality(String), String)') AS attributes,
    usage.model AS model, usage.models AS models, usage.steps AS steps, usage.failed_steps AS failed_steps,
    usage.input_tokens AS input_tokens, usage.output_tokens AS output_tokens, usage.cost_usd AS cost_usd,
    exposed.experiments AS experiments, exposed.variants AS variants,
    scored.score_names AS score_names, scored.score_kinds AS score_kinds, scored.score_values AS score_values
FROM runs AS run
LEFT ANY JOIN run_usage AS usage ON usage.run_id = run.run_id
LEFT ANY JOIN
(
    SELECT
        run_id, arraySort(groupArray((experiment, variant))) AS pairs,
        CAST(pairs.1, 'Array(LowCardinality(String))') AS experiments, CAST(pairs.2, 'Array(LowCardinality(String))') AS variants
    FROM exact_exposures
    GROUP BY run_id
) AS exposed ON exposed.run_id = run.run_id
LEFT ANY JOIN
(
    SELECT
        run_id, arraySort(groupArray((toString(name), toString(kind), value))) AS triples,
        CAST(triples.1, 'Array(LowCardinality(String))') AS score_names,
        CAST(triples.2, 'Array(LowCardinality(String))') AS score_kinds, triples.3 AS score_values
    FROM current_scores
    GROUP BY run_id
) AS scored ON scored.run_id = run.run_id
COMMENT 'What scored_runs shows until the rows of all runs are written: exact, and slow for many runs';

CREATE OR REPLACE VIEW exact_exposure_rows
(
    experiment LowCardinality(String) COMMENT 'The experiment',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown',
    run_key UInt128 COMMENT 'Hash of the run id',
    run_id String COMMENT 'The run',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was',
    unit String COMMENT 'What was randomised; the run where nothing else was said',
    unit_key UInt64 COMMENT 'Hash of the unit',
    place UInt64 COMMENT 'Its place in the order of its unit''s exposures: when it was exposed or recorded, whichever is first, then a hash',
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka; of what is carried, when the first wait or score that carries it was opened or decided',
    carried Bool COMMENT 'Whether waits or scores alone say it',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    agent LowCardinality(String) COMMENT 'The run''s agent',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'Where the run stands',
    origin LowCardinality(String) COMMENT 'live or replay',
    model LowCardinality(String) COMMENT 'The run''s model',
    latency_seconds Nullable(Float64) COMMENT 'Seconds that the run took',
    steps UInt32 COMMENT 'The run''s steps, every attempt',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read by them',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written by them',
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts',
    earlier_numbers Map(LowCardinality(String), Float64) COMMENT 'Free facts that are numbers, as they were first stated, if that was before the exposure',
    subjects Array(UInt64) COMMENT 'Hashes of the subjects that the run waits for',
    answer_names Array(LowCardinality(String)) COMMENT 'What is known of the run by name of a score, from one instant to the next: the name',
    answer_began Array(DateTime64(6, 'UTC')) COMMENT 'From when this is known: when it was written to Kafka',
    answer_ended Array(DateTime64(6, 'UTC')) COMMENT 'Until when; 2299-12-31 for what is known now',
    answer_values Array(Nullable(Float64)) COMMENT 'The mean of the run''s scores with that name; NULL where there is none',
    answer_causes Array(LowCardinality(String)) COMMENT 'How it came about: outcome, deadline, expired, open, or before_exposure for an outcome from before',
    answer_revised_at Array(DateTime64(6, 'UTC')) COMMENT 'When its last revision was decided; 1970-01-01 where nothing was revised, and nothing at all where no answer was',
    answer_occurred_at Array(DateTime64(6, 'UTC')) COMMENT 'When the outcome behind it happened; 1970-01-01 where it came about by none',
    score_names Array(LowCardinality(String)) COMMENT 'Names of the run''s current scores, sorted',
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each',
    score_values Array(Float64) COMMENT 'The value of each'
)
AS
SELECT
    CAST(exposed.experiment, 'LowCardinality(String)') AS experiment,
    ifNull(run.started_at, toDateTime64(0, 6, 'UTC')) AS started_at,
    reinterpretAsUInt128(sipHash128(exposed.run_id)) AS run_key,
    exposed.run_id AS run_id,
    CAST(exposed.variant, 'LowCardinality(String)') AS variant,
    CAST(exposed.phase, 'LowCardinality(String)') AS phase,
    exposed.probability AS probability,
    exposed.unit AS unit,
    sipHash64(exposed.unit) AS unit_key,
    bitShiftLeft(toUInt64(toUnixTimestamp64Micro(exposed.at) + 2208988800000000), 11)
        + bitAnd(cityHash64(exposed.run_id, exposed.variant, exposed.phase), 2047) AS place,
    CAST(exposed.strategy, 'LowCardinality(String)') AS strategy,
    exposed.exposed_at AS exposed_at,
    exposed.recorded_at AS recorded_at,
    exposed.carried AS carried,
    toBool(run.run_id != '') AS run_known,
    run.agent AS agent, run.version AS version, run.status AS status,
    CAST(if(run.origin = '', 'live', toString(run.origin)), 'LowCardinality(String)') AS origin, run.model AS model,
    run.latency_seconds AS latency_seconds, usage.steps AS steps, usage.input_tokens AS input_tokens,
    usage.output_tokens AS output_tokens, usage.cost_usd AS cost_usd, run.attributes AS attributes,
    CAST(
        mapFromArrays(
            (arrayFilter(fact -> fact.2 <= exposed.at + toIntervalSecond(1), numbers.facts) AS earlier).1, earlier.3
        ),
        'Map(LowCardinality(String), Float64)'
    ) AS earlier_numbers,
    waiting.subjects AS subjects,
    CAST(history.answers.name, 'Array(LowCardinality(String))') AS answer_names,
    history.answers.began AS answer_began, history.answers.ended AS answer_ended, history.answers.value AS answer_values,
    CAST(
        arrayMap(
            answer -> multiIf(
                ifNull(answer.occurred_at, exposed.at) < exposed.at - toIntervalSecond(1), 'before_exposure',
                answer.value IS NOT NULL, if(answer.reason = 'deadline', 'deadline', 'outcome'),
                answer.expired, 'expired', 'open'
            ),
            history.answers
        ),
        'Array(LowCardinality(String))'
    ) AS answer_causes,
    if(
        arrayExists(answer -> answer.revised != 0, history.answers),
        arrayMap(answer -> if(answer.revised, answer.decided_at, toDateTime64(0, 6, 'UTC')), history.answers), []
    ) AS answer_revised_at,
    arrayMap(
        (answer, cause) -> if(cause = 'outcome', ifNull(answer.occurred_at, toDateTime64(0, 6, 'UTC')), toDateTime64(0, 6, 'UTC')),
        history.answers, answer_causes
    ) AS answer_occurred_at,
    scored.score_names AS score_names, scored.score_kinds AS score_kinds, scored.score_values AS score_values
FROM (SELECT *, least(exposed_at, recorded_at) AS at FROM exact_exposures) AS exposed
LEFT ANY JOIN exact_runs AS run ON run.run_id = exposed.run_id
LEFT ANY JOIN run_usage AS usage ON usage.run_id = exposed.run_id
LEFT ANY JOIN run_answers AS history ON history.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT
        if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS known_run,
        arraySort(groupUniqArray(sipHash64(told.subject))) AS subjects
    FROM waits AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
    GROUP BY known_run
) AS waiting ON waiting.known_run = exposed.run_id
LEFT ANY JOIN
(
    SELECT run_id, arraySort(groupArray((toString(name), at, number))) AS facts
    FROM
    (
        SELECT run_id, name, tupleElement(min(first) AS earliest, 1) AS at, tupleElement(earliest, 2) AS number
        FROM raw_first_numbers
        GROUP BY run_id, name
    )
    GROUP BY run_id
) AS numbers ON numbers.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT
        run_id, arraySort(groupArray((toString(name), toString(kind), value))) AS triples,
        CAST(triples.1, 'Array(LowCardinality(String))') AS score_names,
        CAST(triples.2, 'Array(LowCardinality(String))') AS score_kinds, triples.3 AS score_values
    FROM current_scores
    GROUP BY run_id
) AS scored ON scored.run_id = exposed.run_id
COMMENT 'What exposure_rows shows until the rows of all runs are written: exact, and slow for many runs';

CREATE OR REPLACE VIEW exact_open_waits
(
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    run_key UInt128 COMMENT 'Hash of the run id',
    subject String COMMENT 'What it waits for news about',
    wait_id String COMMENT 'The wait, unique for its subject',
    run_id String COMMENT 'The run that asks',
    step_id Nullable(String) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    agent LowCardinality(String) COMMENT 'The agent: as the wait says it, else as its run does',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    overdue Bool COMMENT 'Whether the deadline has passed: it is judged once all that was written before it has been read',
    origin LowCardinality(String) COMMENT 'live or replay',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the wait carries'
)
AS
SELECT
    wait.deadline AS deadline,
    reinterpretAsUInt128(sipHash128(wait.run_id)) AS run_key,
    wait.subject AS subject, wait.wait_id AS wait_id, wait.run_id AS run_id, wait.step_id AS step_id,
    wait.name AS name, CAST(wait.agent, 'LowCardinality(String)') AS agent, wait.mode AS mode,
    wait.opened_at AS opened_at, wait.overdue AS overdue,
    CAST(if(ifNull(run.origin, '') = '', 'live', run.origin), 'LowCardinality(String)') AS origin,
    CAST(wait.attributes, 'Map(LowCardinality(String), String)') AS attributes
FROM pending AS wait
LEFT ANY JOIN runs AS run ON run.run_id = wait.run_id
COMMENT 'What open_waits shows until the rows of all runs are written: exact, and slow for many runs';

CREATE OR REPLACE VIEW scored_runs
(
    run_id String COMMENT 'The run',
    run_key UInt128 COMMENT 'Hash of the run id',
    started_at DateTime64(6, 'UTC') COMMENT 'When it started; 1970-01-01 where unknown',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended; NULL where unknown',
    latency_seconds Nullable(Float64) COMMENT 'Seconds from start to end; NULL where one is unknown',
    agent LowCardinality(String) COMMENT 'The agent''s name; empty where unknown',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'running, completed, failed or cancelled',
    session_id String COMMENT 'The session that it belongs to',
    parent_run_id String COMMENT 'The run that started it',
    origin LowCardinality(String) COMMENT 'live or replay',
    error String COMMENT 'What went wrong',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the first event about it was written to Kafka',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts',
    model LowCardinality(String) COMMENT 'The model of most of its steps, of several the first by name; empty where unknown',
    models Array(LowCardinality(String)) COMMENT 'All of its models, sorted',
    steps UInt32 COMMENT 'Steps, every attempt',
    failed_steps UInt32 COMMENT 'Steps with an error',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written',
    cost_usd Nullable(Float64) COMMENT 'What its steps cost; NULL where unknown',
    experiments Array(LowCardinality(String)) COMMENT 'Its experiments',
    variants Array(LowCardinality(String)) COMMENT 'The variant of each',
    score_names Array(LowCardinality(String)) COMMENT 'Names of its current scores, sorted',
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each',
    score_values Array(Float64) COMMENT 'The value of each'
)
AS SELECT * FROM exact_runs
COMMENT 'Runs in the order of time, each with its steps'' usage, experiments and current scores';

CREATE OR REPLACE VIEW score_rows
(
    name LowCardinality(String) COMMENT 'What is scored',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown',
    run_key UInt128 COMMENT 'Hash of the run id',
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    value Float64 COMMENT 'The number; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    revision UInt64 COMMENT 'From 1, one more for each change of mind; of a given score its place among those of its name''s kind',
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The agent: as the score says it, else as its run does',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    version LowCardinality(String) COMMENT 'The agent''s version, from the run',
    status LowCardinality(String) COMMENT 'Where the run stands',
    session_id String COMMENT 'The session of the run',
    origin LowCardinality(String) COMMENT 'live or replay',
    wait_opened_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the wait that it answers began',
    wait_deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when outcomes count for that wait',
    model String COMMENT 'The run''s model',
    latency_seconds Nullable(Float64) COMMENT 'Seconds that the run took',
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the score carries',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run',
    place UInt32 COMMENT 'Place among the scores of its name and kind that the run has, the highest value first: each run has one place 1'
)
AS SELECT * FROM exact_score_rows
COMMENT 'Current scores, each with its run: ordered by name and the run''s start';

CREATE OR REPLACE VIEW exposure_rows
(
    experiment LowCardinality(String) COMMENT 'The experiment',
    started_at DateTime64(6, 'UTC') COMMENT 'When the run started; 1970-01-01 where unknown',
    run_key UInt128 COMMENT 'Hash of the run id',
    run_id String COMMENT 'The run',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was',
    unit String COMMENT 'What was randomised; the run where nothing else was said',
    unit_key UInt64 COMMENT 'Hash of the unit',
    place UInt64 COMMENT 'Its place in the order of its unit''s exposures: when it was exposed or recorded, whichever is first, then a hash',
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka; of what is carried, when the first wait or score that carries it was opened or decided',
    carried Bool COMMENT 'Whether waits or scores alone say it',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    agent LowCardinality(String) COMMENT 'The run''s agent',
    version LowCardinality(String) COMMENT 'The agent''s version',
    status LowCardinality(String) COMMENT 'Where the run stands',
    origin LowCardinality(String) COMMENT 'live or replay',
    model LowCardinality(String) COMMENT 'The run''s model',
    latency_seconds Nullable(Float64) COMMENT 'Seconds that the run took',
    steps UInt32 COMMENT 'The run''s steps, every attempt',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read by them',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written by them',
    cost_usd Nullable(Float64) COMMENT 'What the run''s steps cost',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts',
    earlier_numbers Map(LowCardinality(String), Float64) COMMENT 'Free facts that are numbers, as they were first stated, if that was before the exposure',
    subjects Array(UInt64) COMMENT 'Hashes of the subjects that the run waits for',
    answer_names Array(LowCardinality(String)) COMMENT 'What is known of the run by name of a score, from one instant to the next: the name',
    answer_began Array(DateTime64(6, 'UTC')) COMMENT 'From when this is known: when it was written to Kafka',
    answer_ended Array(DateTime64(6, 'UTC')) COMMENT 'Until when; 2299-12-31 for what is known now',
    answer_values Array(Nullable(Float64)) COMMENT 'The mean of the run''s scores with that name; NULL where there is none',
    answer_causes Array(LowCardinality(String)) COMMENT 'How it came about: outcome, deadline, expired, open, or before_exposure for an outcome from before',
    answer_revised_at Array(DateTime64(6, 'UTC')) COMMENT 'When its last revision was decided; 1970-01-01 where nothing was revised, and nothing at all where no answer was',
    answer_occurred_at Array(DateTime64(6, 'UTC')) COMMENT 'When the outcome behind it happened; 1970-01-01 where it came about by none',
    score_names Array(LowCardinality(String)) COMMENT 'Names of the run''s current scores, sorted',
    score_kinds Array(LowCardinality(String)) COMMENT 'The kind of each',
    score_values Array(Float64) COMMENT 'The value of each'
)
AS SELECT * FROM exact_exposure_rows
COMMENT 'Exposures, each with its run and the run''s scores: ordered by experiment and the run''s start';

CREATE OR REPLACE VIEW open_waits
(
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    run_key UInt128 COMMENT 'Hash of the run id',
    subject String COMMENT 'What it waits for news about',
    wait_id String COMMENT 'The wait, unique for its subject',
    run_id String COMMENT 'The run that asks',
    step_id Nullable(String) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    agent LowCardinality(String) COMMENT 'The agent: as the wait says it, else as its run does',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    overdue Bool COMMENT 'Whether the deadline has passed: it is judged once all that was written before it has been read',
    origin LowCardinality(String) COMMENT 'live or replay',
    attributes Map(LowCardinality(String), String) COMMENT 'The run''s free facts, over those that the wait carries'
)
AS SELECT * FROM exact_open_waits
COMMENT 'Waits without a final answer, by deadline, each with its run';

CREATE OR REPLACE VIEW score_revisions
(
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; booleans are 0 and 1; NULL where the wait expired',
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    key String COMMENT 'Tells apart scores of one name on one run',
    revision UInt64 COMMENT 'From 1, one more for each change of mind',
    supersedes Nullable(UInt64) COMMENT 'The revision that it replaces',
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    wait_id String COMMENT 'The wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    source LowCardinality(String) COMMENT 'Who gave it',
    comment String COMMENT 'Why, in words',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    precedence UInt256 COMMENT 'Of one score the highest is current: the last revision; given ones before decided ones, by time'
)
AS
SELECT
    score_id, run_id, step_id, name, value, kind, key,
    if(reason = 'given', toUInt64(place), given_or_said.revision) AS revision,
    if(reason != 'given', given_or_said.supersedes, if(place > 1, toNullable(toUInt64(place - 1)), NULL)) AS supersedes,
    reason, late, subject, wait_id, outcome_id, occurred_at, decided_at, agent, source, comment, exposures, attributes,
    recorded_at, precedence
FROM
(
    SELECT *, row_number() OVER (PARTITION BY run_id, score_id ORDER BY precedence) AS place
    FROM raw_scores FINAL
    SETTINGS optimize_move_to_prewhere_if_final = 1
) AS given_or_said
COMMENT 'The same as scores: quick for one run, slow for many';

CREATE OR REPLACE VIEW scored_subjects
(
    subject String COMMENT 'The subject of the wait that a score answers',
    run_id String COMMENT 'The run that the score is about',
    score_id String COMMENT 'The score'
)
AS
SELECT subject, run_id, score_id FROM raw_scores
COMMENT 'Scores with their subjects and runs, once for each revision: quick for one subject or one run';

CREATE OR REPLACE VIEW waited_subjects
(
    subject String COMMENT 'What the run waits for news about',
    run_id String COMMENT 'The run that asks'
)
AS
SELECT subject, run_id FROM raw_waits
COMMENT 'Subjects that runs ever asked about, perhaps several times: quick for one run';

CREATE OR REPLACE VIEW outcome_counts
(
    outcomes UInt64 COMMENT 'How many outcomes are stored'
)
AS
SELECT sum(counted) AS outcomes
FROM
(
    SELECT count() AS counted FROM raw_outcomes FINAL WHERE (SELECT count() FROM raw_outcomes) < 1000000
    UNION ALL
    SELECT if(count() < 1000000, 0, count()) FROM raw_outcomes
)
COMMENT 'How many outcomes there are, at once: from a million on, what was delivered twice counts twice until ClickHouse merges it';

CREATE OR REPLACE VIEW wait_outlines
(
    run_id String COMMENT 'The run that asks',
    subject String COMMENT 'What it waits for news about',
    wait_id String COMMENT 'The wait, unique for its subject',
    name LowCardinality(String) COMMENT 'The name of the score',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    outcome_types Array(LowCardinality(String)) COMMENT 'The outcome types that its rule lists',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT run_id, subject, wait_id, name, mode, opened_at, deadline, outcome_types, recorded_at
FROM raw_waits FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Waits, open or not, without their rules: quick for one run or one subject';

-- The setting lets ClickHouse look for a key before it merges the rows of that key: no other condition is moved.
CREATE OR REPLACE VIEW run_outlines
(
    run_id String COMMENT 'The run; for a trace whose root says another run id, that id has the row',
    agent String COMMENT 'The agent''s name; empty where unknown',
    version String COMMENT 'The agent''s version',
    status String COMMENT 'running, completed, failed or cancelled',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended',
    error String COMMENT 'What went wrong'
)
AS
SELECT
    run_id,
    tupleElement(raw.agent, 2) AS agent,
    tupleElement(raw.version, 2) AS version,
    tupleElement(raw.status, 3) AS status,
    if(toUnixTimestamp64Micro(tupleElement(raw.started_at, 1)) = 0, NULL, tupleElement(raw.started_at, 2)) AS started_at,
    if(toUnixTimestamp64Micro(tupleElement(raw.ended_at, 1)) = 0, NULL, tupleElement(raw.ended_at, 2)) AS ended_at,
    tupleElement(raw.error, 2) AS error
FROM raw_runs AS raw FINAL
WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Runs without input, output and attributes: quick for one run';

CREATE OR REPLACE VIEW step_outlines
(
    run_id String COMMENT 'The run that it belongs to',
    step_id String COMMENT 'The step, unique in its run',
    attempt UInt64 COMMENT 'Which try this is, from 1',
    name LowCardinality(String) COMMENT 'What it is called',
    status LowCardinality(String) COMMENT 'running, ok, error or cancelled',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started',
    ended_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended'
)
AS
SELECT run_id, step_id, attempt, name, status, model, started_at, ended_at
FROM raw_steps FINAL
WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
UNION ALL
SELECT alias.known_as AS run_id, told.step_id, told.attempt, told.name, told.status, told.model, told.started_at, told.ended_at
FROM
(
    SELECT run_id, step_id, attempt, name, status, model, started_at, ended_at
    FROM raw_steps FINAL
    WHERE run_id IN (SELECT run_id FROM raw_run_aliases)
) AS told
INNER JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON alias.run_id = told.run_id
COMMENT 'Steps without tokens, costs and texts: quick for one run';

CREATE OR REPLACE VIEW score_outlines
(
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about, as the score was written',
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; booleans are 0 and 1; NULL where the wait expired',
    kind LowCardinality(String) COMMENT 'number or boolean; empty where there is no value',
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    subject String COMMENT 'The subject of the wait that it answers',
    wait_id String COMMENT 'The wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    precedence UInt256 COMMENT 'Of one score the highest is current: the last revision; given ones before decided ones, by time'
)
AS
SELECT
    score_id, run_id, name, value, kind, reason, subject, wait_id, outcome_id, decided_at, agent, recorded_at, precedence
FROM raw_scores FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Every revision of scores, without texts and numbers of revisions: quick for a range of score_id, such as a sample';

CREATE OR REPLACE VIEW changed_scores
(
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about, as the score was written',
    name LowCardinality(String) COMMENT 'What is scored',
    value Nullable(Float64) COMMENT 'The number; NULL where there is none (any more)',
    revision UInt64 COMMENT 'From 1, one more for each change of mind',
    reason LowCardinality(String) COMMENT 'outcome, deadline, expired, given or reopened',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided'
)
AS
SELECT score_id, run_id, name, value, revision, reason, late, subject, decided_at
FROM raw_scores
WHERE revision > 1 OR late
ORDER BY row_version DESC
LIMIT 1 BY score_id, fact_id
COMMENT 'Revisions that changed a score after it was decided, and late ones: quick among many scores';

CREATE OR REPLACE VIEW pending_followups
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'Its scorer, which is the name of the score that its code returns',
    version LowCardinality(String) COMMENT 'The version of that code',
    status LowCardinality(String) COMMENT 'running, waiting, failed or undeployed, as in current_followups; deferred: no worker has told of it yet',
    subject String COMMENT 'What it waits for news about, of several what ends first; empty where it waits for nothing or sleeps',
    agent String COMMENT 'The agent: as the deferral says it, else as its run does',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was deferred',
    deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first that it waits for ends; absent where it waits for nothing',
    overdue Bool COMMENT 'Whether that has passed',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the deferral carries'
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
    if(deferral.agent != '', toString(deferral.agent), ifNull(run.agent, '')) AS agent,
    deferral.deferred_at AS opened_at,
    if(empty(followup.waiting_for), NULL, arrayMin(wait -> wait.3, followup.waiting_for)) AS deadline,
    toBool(ifNull(deadline < now64(6), false)) AS overdue,
    mapUpdate(CAST(deferral.attributes, 'Map(String, String)'), run.attributes) AS attributes
FROM
(
    SELECT told.* EXCEPT run_id, if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id
    FROM (SELECT * FROM raw_deferrals FINAL) AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
) AS deferral
LEFT ANY JOIN (SELECT followup_id, status, waiting_for FROM raw_followups FINAL) AS followup
    ON deferral.followup_id = followup.followup_id
LEFT ANY JOIN
(
    SELECT run_id, agent, attributes
    FROM runs
    WHERE run_id IN
    (
        WITH open AS
        (
            SELECT run_id FROM raw_deferrals
            WHERE followup_id NOT IN
            (
                SELECT followup_id FROM raw_followups FINAL
                WHERE status NOT IN ('', 'running', 'waiting', 'failed', 'undeployed')
            )
        )
        SELECT run_id FROM open
        UNION ALL
        SELECT known_as FROM raw_run_aliases WHERE run_id IN (SELECT run_id FROM open)
    )
) AS run ON deferral.run_id = run.run_id
WHERE followup.status IN ('', 'running', 'waiting', 'failed', 'undeployed')
COMMENT 'Follow-ups that are not done: what their code would score is still to come';

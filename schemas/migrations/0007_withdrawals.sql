-- What is withdrawn: cancellations of waits and of deferrals, and where they are seen.

ALTER TABLE raw_waits
    ADD COLUMN IF NOT EXISTS revision UInt64 COMMENT 'Of two waits with one id the one with the higher counts; it opens again what was cancelled with a lower one' CODEC(T64, ZSTD(1)) AFTER recorded_at;

CREATE TABLE IF NOT EXISTS raw_cancellations
(
    topic LowCardinality(String) COMMENT 'waits or deferrals: what is cancelled',
    subject String COMMENT 'The subject of the wait; empty for a follow-up' CODEC(ZSTD(1)),
    id String COMMENT 'The wait or the follow-up' CODEC(ZSTD(1)),
    asker String COMMENT 'The follow-up that had asked for it; empty where another program had' CODEC(ZSTD(1)),
    revision UInt64 COMMENT 'Up to which revision of the asker''s it is cancelled' CODEC(T64, ZSTD(1)),
    run_id String COMMENT 'The run that it is about, where the cancellation says it' CODEC(ZSTD(1)),
    cancelled_at DateTime64(6, 'UTC') COMMENT 'Since when it is not needed any more' CODEC(Delta, ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'The highest counts: what was cancelled earlier' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (topic, subject, id, asker, revision)
COMMENT 'Cancellations of waits and deferrals';

ALTER TABLE raw_followups COMMENT COLUMN status 'running, waiting, done, failed, undeployed or withdrawn';

CREATE OR REPLACE VIEW cancellations
(
    topic LowCardinality(String) COMMENT 'waits or deferrals: what is cancelled',
    subject String COMMENT 'The subject of the wait; empty for a follow-up',
    id String COMMENT 'The wait or the follow-up',
    asker String COMMENT 'The follow-up that had asked for it; empty where another program had',
    revision UInt64 COMMENT 'Up to which revision of the asker''s it is cancelled',
    run_id String COMMENT 'The run that it is about, where the cancellation says it',
    cancelled_at DateTime64(6, 'UTC') COMMENT 'Since when it is not needed any more',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT topic, subject, id, asker, revision, run_id, cancelled_at, recorded_at
FROM raw_cancellations FINAL
ORDER BY revision DESC
LIMIT 1 BY topic, subject, id, asker
COMMENT 'Cancellations: of each wait and deferral the last. One that was opened with a higher revision is not cancelled';

CREATE OR REPLACE VIEW current_followups
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    scorer LowCardinality(String) COMMENT 'Its code',
    version LowCardinality(String) COMMENT 'The version of that code',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the deferral says it',
    status LowCardinality(String) COMMENT 'running: its code runs or soon will; waiting: for events or a time; done: its code has ended; failed: it raised and is not tried again by itself; undeployed: no worker has that code; withdrawn: who deferred it does not any more, its scores and waits are withdrawn',
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
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    cancelled_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it ended by being cancelled; NULL where it did not'
)
AS
SELECT
    wait.wait_id AS wait_id, wait.run_id AS run_id, wait.step_id AS step_id, wait.name AS name,
    wait.subject AS subject, wait.agent AS agent, wait.mode AS mode, wait.rule AS rule,
    wait.outcome_types AS outcome_types, wait.opened_at AS opened_at, wait.since AS since,
    wait.deadline AS deadline, wait.exposures AS exposures, wait.attributes AS attributes,
    wait.reply_to AS reply_to, wait.recorded_at AS recorded_at,
    if(
        ifNull(cancelled.id, '') != '' AND ifNull(cancelled.revision, 0) >= wait.revision
            AND (wait.reply_to != '' OR ifNull(cancelled.cancelled_at, toDateTime64(0, 6, 'UTC')) <= wait.deadline),
        toNullable(ifNull(cancelled.cancelled_at, toDateTime64(0, 6, 'UTC'))), NULL
    ) AS cancelled_at
FROM (SELECT * FROM raw_waits FINAL) AS wait
LEFT ANY JOIN (SELECT * FROM cancellations WHERE topic = 'waits') AS cancelled
    ON wait.subject = cancelled.subject AND wait.wait_id = cancelled.id AND wait.reply_to = cancelled.asker
COMMENT 'Waits: questions about a subject, open or answered. Of two with one id about one subject the one with the higher revision counts, then the one opened earlier';

CREATE OR REPLACE VIEW pending
(
    wait_id String COMMENT 'The wait, unique for its subject',
    run_id String COMMENT 'The run that asks',
    step_id Nullable(String) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    subject String COMMENT 'What it waits for news about',
    agent String COMMENT 'The agent: as the wait says it, else as its run does',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    overdue Bool COMMENT 'Whether the deadline has passed: it is judged once all that was written before it has been read',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the wait carries'
)
AS
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
    SELECT * FROM waits
    WHERE reply_to = '' AND cancelled_at IS NULL
        AND
        (
            (subject, wait_id) NOT IN
            (
                SELECT subject, wait_id FROM raw_latest_by_kind FINAL
                WHERE wait_id != '' AND (value IS NOT NULL OR reason = 'expired')
            )
            OR (mode IN ('last', 'count', 'sum') AND deadline >= now64(6))
        )
) AS wait
LEFT ANY JOIN runs AS run ON wait.run_id = run.run_id
COMMENT 'Waits without a final answer: no score yet, or one that later outcomes may still revise before the deadline. Those of follow-ups are in current_followups';

-- A score's name is pinned to the kind of its first score, a number or a boolean, by the time of its decision. Which
-- kind that is follows from the set of all scores, in whatever order they are stored; what is of the other
-- kind is stored, too, and shown by score_clashes instead of current_scores.

ALTER TABLE raw_scores
    ADD COLUMN IF NOT EXISTS offset UInt64 COMMENT 'Where the record lay in its partition: of two decided at once the one written first comes first' CODEC(ZSTD(1)) AFTER recorded_at;

CREATE TABLE IF NOT EXISTS raw_score_kinds
(
    name LowCardinality(String) COMMENT 'The name of scores',
    kind LowCardinality(String) COMMENT 'number or boolean',
    first SimpleAggregateFunction(min, Tuple(decided_at DateTime64(6, 'UTC'), offset UInt64, run_id String, score_id String)) COMMENT 'The first score of that kind',
    last_at SimpleAggregateFunction(max, DateTime64(6, 'UTC')) COMMENT 'When the last one was decided'
)
ENGINE = AggregatingMergeTree
ORDER BY (name, kind)
COMMENT 'Names of scores: the kinds that were given for each';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_score_kinds_feed TO raw_score_kinds AS
SELECT
    name, kind, min(tuple(decided_at, offset, run_id, score_id)) AS first, max(decided_at) AS last_at
FROM raw_scores
WHERE kind != ''
GROUP BY name, kind;

INSERT INTO raw_score_kinds
SELECT
    name, kind, min(tuple(decided_at, offset, run_id, score_id)) AS first, max(decided_at) AS last_at
FROM raw_scores
WHERE kind != ''
GROUP BY name, kind;

CREATE TABLE IF NOT EXISTS raw_latest_by_kind
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
    as_kind LowCardinality(String) COMMENT 'number or boolean: the latest where the name is pinned to that; without a value a revision stands under both',
    precedence UInt256 COMMENT 'The highest is current' CODEC(ZSTD(1)),
    INDEX by_run run_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_subject subject TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY (score_id, as_kind)
COMMENT 'Scores: the latest revision of each kind alone, so that the current state is quick to read';

CREATE MATERIALIZED VIEW IF NOT EXISTS raw_latest_by_kind_feed TO raw_latest_by_kind AS
SELECT
    score_id, fact_id, run_id, step_id, name, value, kind, revision, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, exposures, attributes,
    arrayJoin(if(kind = '', ['number', 'boolean'], [toString(kind)])) AS as_kind, precedence
FROM raw_scores;

INSERT INTO raw_latest_by_kind
SELECT
    score_id, fact_id, run_id, step_id, name, value, kind, revision, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, exposures, attributes,
    arrayJoin(if(kind = '', ['number', 'boolean'], [toString(kind)])) AS as_kind, precedence
FROM raw_scores;

CREATE OR REPLACE VIEW score_kinds
(
    name LowCardinality(String) COMMENT 'The name of scores',
    kind LowCardinality(String) COMMENT 'number or boolean: what the first score of that name is, by the time of its decision',
    first_at DateTime64(6, 'UTC') COMMENT 'When that first score was decided',
    run_id String COMMENT 'The run of that first score',
    score_id String COMMENT 'That first score',
    refused_kind LowCardinality(String) COMMENT 'The other kind, where scores of it came, too: they are refused; else empty',
    refused_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last of those was decided'
)
AS
SELECT
    name,
    argMin(of_kind, (began, of_kind)) AS kind,
    tupleElement(min(began), 1) AS first_at,
    tupleElement(min(began), 3) AS run_id,
    tupleElement(min(began), 4) AS score_id,
    if(count() > 1, argMax(of_kind, (began, of_kind)), '') AS refused_kind,
    if(count() > 1, toNullable(argMax(ended, (began, of_kind))), NULL) AS refused_at
FROM
(
    SELECT name, kind AS of_kind, min(first) AS began, max(last_at) AS ended
    FROM raw_score_kinds
    GROUP BY name, kind
)
GROUP BY name
COMMENT 'Names of scores: whether each is a number or a boolean, and by which score';

CREATE OR REPLACE VIEW score_clashes
(
    name LowCardinality(String) COMMENT 'What is scored',
    kind LowCardinality(String) COMMENT 'number or boolean: what this score is',
    pinned_kind LowCardinality(String) COMMENT 'What scores of this name are',
    pinned_at DateTime64(6, 'UTC') COMMENT 'When the first score of this name was decided',
    pinned_by String COMMENT 'The run of that first score',
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    value Float64 COMMENT 'The number; booleans are 0 and 1',
    revision UInt64 COMMENT 'From 1, as the event says it',
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    wait_id String COMMENT 'The wait that it answers',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent LowCardinality(String) COMMENT 'The run''s agent, where the score says it',
    source LowCardinality(String) COMMENT 'Who gave it',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    score.name AS name,
    score.kind AS kind,
    ifNull(pinned.kind, '') AS pinned_kind,
    assumeNotNull(pinned.first_at) AS pinned_at,
    ifNull(pinned.run_id, '') AS pinned_by,
    score.score_id AS score_id,
    score.run_id AS run_id,
    score.step_id AS step_id,
    assumeNotNull(score.value) AS value,
    score.revision AS revision,
    score.reason AS reason,
    score.wait_id AS wait_id,
    score.decided_at AS decided_at,
    score.agent AS agent,
    score.source AS source,
    score.recorded_at AS recorded_at
FROM
(
    SELECT * FROM raw_scores FINAL
    WHERE (name, kind) IN (SELECT name, refused_kind FROM score_kinds WHERE refused_kind != '')
) AS score
LEFT ANY JOIN score_kinds AS pinned ON score.name = pinned.name
COMMENT 'Scores of another kind than the first of their name: refused, and not among the current ones';

CREATE OR REPLACE VIEW current_scores
(
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'What is scored',
    value Float64 COMMENT 'The number; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    revision UInt64 COMMENT 'From 1, one more for each change of mind',
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    wait_id String COMMENT 'The wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent String COMMENT 'The agent: as the score says it, else as its run does; empty while the run is unknown',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    version String COMMENT 'The agent''s version, from the run',
    status String COMMENT 'Where the run stands',
    run_started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the run started; NULL where unknown',
    session_id String COMMENT 'The session of the run',
    origin String COMMENT 'live, or replay for runs that production statistics leave out',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the score carries',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run: as the score carries them, else as they were recorded for the run'
)
AS
SELECT
    score.score_id AS score_id,
    score.run_id AS run_id,
    score.step_id AS step_id,
    score.name AS name,
    assumeNotNull(score.value) AS value,
    score.kind AS kind,
    if(score.reason = 'given', greatest(ifNull(given.facts, 1), 1), score.revision) AS revision,
    score.reason AS reason,
    score.late AS late,
    score.subject AS subject,
    score.wait_id AS wait_id,
    score.outcome_id AS outcome_id,
    score.occurred_at AS occurred_at,
    score.decided_at AS decided_at,
    if(score.agent != '', toString(score.agent), ifNull(run.agent, '')) AS agent,
    toBool(ifNull(run.run_id, '') != '') AS run_known,
    ifNull(run.version, '') AS version,
    ifNull(run.status, '') AS status,
    run.started_at AS run_started_at,
    ifNull(run.session_id, '') AS session_id,
    if(ifNull(run.origin, '') = '', 'live', ifNull(run.origin, '')) AS origin,
    mapUpdate(CAST(score.attributes, 'Map(String, String)'), run.attributes) AS attributes,
    CAST(
        if(notEmpty(score.exposures), score.exposures, exposed.exposures),
        'Array(Tuple(experiment String, variant String, phase String, probability Float64))'
    ) AS exposures
FROM
(
    SELECT * FROM raw_latest_by_kind FINAL
    WHERE value IS NOT NULL AND (name, as_kind) IN (SELECT name, kind FROM score_kinds)
) AS score
LEFT ANY JOIN runs AS run ON score.run_id = run.run_id
LEFT ANY JOIN
(
    SELECT run_id, arraySort(groupArray((toString(experiment), toString(variant), toString(phase), probability))) AS exposures
    FROM exposures
    GROUP BY run_id
) AS exposed ON score.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT score_id, uniqExact(fact_id) AS facts
    FROM raw_scores
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'given')
        AND (kind = '' OR (name, kind) IN (SELECT name, kind FROM score_kinds))
    GROUP BY score_id
    HAVING facts > 1
) AS given ON score.score_id = given.score_id
COMMENT 'The latest revision of each score that has a value of its name''s kind, with its run: agent, exposures and attributes that the score does not carry come from there, whenever they arrive';

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
    SELECT * FROM raw_waits FINAL
    WHERE reply_to = ''
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

DROP VIEW IF EXISTS raw_latest_scores_feed;

DROP TABLE IF EXISTS raw_latest_scores;

-- What people and programs read. FINAL is inside, so that nobody ever sees a duplicate or half a run.
--
-- Registers are taken apart by tupleElement: `register.value` would read that part of the tuple alone, and
-- FINAL would then keep the part that it met first. ifNull around what is joined keeps the views right for
-- readers who have set join_use_nulls.

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
COMMENT 'Runs: one row for each execution of an agent. What is not known (yet) is empty or NULL';

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
    provider LowCardinality(String) COMMENT 'Who serves the model; empty where unknown',
    model LowCardinality(String) COMMENT 'The model that answered; empty where unknown',
    input_tokens Nullable(UInt64) COMMENT 'Tokens read, cached ones included',
    output_tokens Nullable(UInt64) COMMENT 'Tokens written',
    cached_input_tokens Nullable(UInt64) COMMENT 'Tokens read from a cache',
    uncached_input_tokens Nullable(Int64) COMMENT 'Tokens read, less the cached ones; negative where the producer does not count cached ones as input',
    cost_usd Nullable(Float64) COMMENT 'What it cost in US dollars; NULL where unknown',
    error String COMMENT 'What went wrong',
    input String COMMENT 'What it was given',
    output String COMMENT 'What it gave',
    attributes Map(LowCardinality(String), String) COMMENT 'Free facts; what is no string as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    run_id, step_id, attempt, parent_step_id, name, kind, status, started_at, ended_at, provider, model,
    input_tokens, output_tokens, cached_input_tokens,
    toInt64(input_tokens) - toInt64(ifNull(cached_input_tokens, 0)) AS uncached_input_tokens,
    cost_usd, error, input, output, attributes, recorded_at
FROM raw_steps FINAL
COMMENT 'Steps: the units inside a run, one row for each attempt. Negative uncached_input_tokens mean that the producer does not count cached tokens as input';

CREATE OR REPLACE VIEW outcomes
(
    subject String COMMENT 'What it happened to',
    source String COMMENT 'Who tells it',
    id String COMMENT 'Unique for its source',
    type LowCardinality(String) COMMENT 'What happened',
    time DateTime64(6, 'UTC') COMMENT 'When it happened',
    data String COMMENT 'Facts about it, as JSON',
    topic LowCardinality(String) COMMENT 'Where it was first written: the topic',
    partition UInt64 COMMENT 'Where it was first written: the partition',
    offset UInt64 COMMENT 'Where it was first written: the offset',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT subject, source, id, type, time, data, topic, partition, offset, recorded_at
FROM raw_outcomes FINAL
COMMENT 'Outcomes: what happened in the world, each once, at the earlier of its times';

CREATE OR REPLACE VIEW exposures
(
    run_id String COMMENT 'The run',
    exposure_id String COMMENT 'What the exposure is about: the run and the experiment',
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Float64 COMMENT 'How likely that choice was',
    unit String COMMENT 'What was randomised; the run where nothing else was said',
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT run_id, exposure_id, experiment, variant, phase, probability, unit, strategy, exposed_at, recorded_at
FROM raw_exposures FINAL
COMMENT 'Exposures: which variant of an experiment a run was given, and with what probability';

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
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    wait_id, run_id, step_id, name, subject, agent, mode, rule, outcome_types, opened_at, since, deadline,
    exposures, attributes, recorded_at
FROM raw_waits FINAL
COMMENT 'Waits: questions about a subject, open or answered. Of two with one id about one subject the one opened earlier counts';

CREATE OR REPLACE VIEW scores
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
    score_id, run_id, step_id, name, value, kind, key, revision, supersedes, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, source, comment, exposures, attributes, recorded_at, precedence
FROM raw_scores FINAL
WHERE reason != 'given'
UNION ALL
SELECT
    score_id, run_id, step_id, name, value, kind, key, toUInt64(place) AS revision,
    if(place > 1, toNullable(toUInt64(place - 1)), NULL) AS supersedes, reason, late, subject, wait_id,
    outcome_id, occurred_at, decided_at, agent, source, comment, exposures, attributes, recorded_at, precedence
FROM
(
    SELECT *, row_number() OVER (PARTITION BY run_id, score_id ORDER BY precedence) AS place
    FROM raw_scores FINAL
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'given')
)
WHERE reason = 'given'
COMMENT 'Scores: every revision, the history. The one with the highest precedence is current; of given ones the revision is their place in time';

CREATE OR REPLACE VIEW alerts
(
    alert_id String COMMENT 'The alert',
    name LowCardinality(String) COMMENT 'Which line was crossed',
    run_id String COMMENT 'The run that it is about',
    score_id String COMMENT 'The score that crossed it',
    revision UInt64 COMMENT 'Which revision of it',
    value Float64 COMMENT 'The score''s value; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    message String COMMENT 'What to tell people',
    raised_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT alert_id, name, run_id, score_id, revision, value, kind, message, raised_at, recorded_at
FROM raw_alerts FINAL
COMMENT 'Alerts: bad outcomes that somebody wants to hear of at once';

CREATE OR REPLACE VIEW dead_letters
(
    dead_letter_id String COMMENT 'The dead letter: made from the record''s place and the reason',
    reason LowCardinality(String) COMMENT 'Why it could not be used, as a stable code',
    detail String COMMENT 'Why, in words, and what to do',
    topic LowCardinality(String) COMMENT 'Where the record lay: the topic',
    partition UInt64 COMMENT 'Where the record lay: the partition',
    offset UInt64 COMMENT 'Where the record lay: the offset',
    key String COMMENT 'Its key, the very bytes',
    payload String COMMENT 'Its value, the very bytes',
    headers Array(Tuple(name String, value String)) COMMENT 'Its headers',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT dead_letter_id, reason, detail, topic, partition, offset, key, payload, headers, recorded_at
FROM raw_dead_letters FINAL
COMMENT 'Dead letters: input that could not be used, with its reason and its original bytes';

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
FROM (SELECT * FROM raw_latest_scores FINAL WHERE value IS NOT NULL) AS score
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
    GROUP BY score_id
    HAVING facts > 1
) AS given ON score.score_id = given.score_id
COMMENT 'The latest revision of each score that has a value, with its run: agent, exposures and attributes that the score does not carry come from there, whenever they arrive';

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
    WHERE (subject, wait_id) NOT IN
        (
            SELECT subject, wait_id FROM raw_latest_scores FINAL
            WHERE wait_id != '' AND (value IS NOT NULL OR reason = 'expired')
        )
        OR (mode IN ('last', 'count', 'sum') AND deadline >= now64(6))
) AS wait
LEFT ANY JOIN runs AS run ON wait.run_id = run.run_id
COMMENT 'Waits without a final answer: no score yet, or one that later outcomes may still revise before the deadline';

CREATE OR REPLACE VIEW unmatched_outcomes
(
    subject String COMMENT 'What it happened to',
    source String COMMENT 'Who tells it',
    id String COMMENT 'Unique for its source',
    type LowCardinality(String) COMMENT 'What happened',
    time DateTime64(6, 'UTC') COMMENT 'When it happened',
    data String COMMENT 'Facts about it, as JSON',
    topic LowCardinality(String) COMMENT 'Where it was first written: the topic',
    partition UInt64 COMMENT 'Where it was first written: the partition',
    offset UInt64 COMMENT 'Where it was first written: the offset',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT * FROM outcomes
WHERE (subject, type) NOT IN (SELECT subject, arrayJoin(outcome_types) FROM waits)
COMMENT 'Outcomes that nobody ever waited for';

-- Experiments: every record of the registry, probabilities that may be unknown, and scores that have all experiments
-- of their run, however late a variant was chosen.

ALTER TABLE raw_exposures
    MODIFY COLUMN IF EXISTS probability Nullable(Float64) COMMENT 'How likely that choice was; NULL where nobody knows' CODEC(ZSTD(1));

ALTER TABLE raw_exposures
    ADD COLUMN IF NOT EXISTS weights_from LowCardinality(String) COMMENT 'Where the weights came from: registry, cache or code; empty where not stated' AFTER recorded_at;

ALTER TABLE raw_exposures COMMENT COLUMN IF EXISTS exposure_id 'The exposure: made from run, experiment and variant where its producer gave none';

CREATE TABLE IF NOT EXISTS raw_experiments
(
    experiment String COMMENT 'The experiment' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the record was written to Kafka' CODEC(Delta, ZSTD(1)),
    offset UInt64 COMMENT 'Where the record lay in its partition' CODEC(ZSTD(1)),
    status LowCardinality(String) COMMENT 'draft, running, stopped or shipped',
    phase String COMMENT 'The present phase' CODEC(ZSTD(1)),
    strategy LowCardinality(String) COMMENT 'How a run gets its variant',
    variants Map(String, Float64) COMMENT 'Variants and their weights in the present phase' CODEC(ZSTD(1)),
    control String COMMENT 'The variant compared with; empty where not stated' CODEC(ZSTD(1)),
    unit LowCardinality(String) COMMENT 'The kind of randomised unit',
    traffic Float64 COMMENT 'The share of units in the experiment' CODEC(ZSTD(1)),
    hash_version LowCardinality(String) COMMENT 'The hash of assignments',
    phases Array(Tuple(phase String, started_at DateTime64(6, 'UTC'), weights Map(String, Float64), reason String)) COMMENT 'All phases so far, the present one last' CODEC(ZSTD(1)),
    alpha Float64 COMMENT 'The error allowed, over all looks together' CODEC(ZSTD(1)),
    planned_units Nullable(UInt64) COMMENT 'Units planned, fixed at the start' CODEC(ZSTD(1)),
    mde Nullable(Float64) COMMENT 'The least effect worth finding' CODEC(ZSTD(1)),
    reason String COMMENT 'Why it was changed' CODEC(ZSTD(1)),
    changed_at DateTime64(6, 'UTC') COMMENT 'When it was changed' CODEC(Delta, ZSTD(1)),
    record String COMMENT 'The whole record, as JSON: layer, holdout, audience, metrics, cap and the decision, too' CODEC(ZSTD(3)),
    row_version UInt128 COMMENT 'A record read again is the same row' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (experiment, recorded_at, offset)
COMMENT 'The registry of experiments: every record, since the topic keeps the last of each experiment alone';

CREATE OR REPLACE VIEW experiment_changes
(
    experiment String COMMENT 'The experiment',
    status LowCardinality(String) COMMENT 'draft, running, stopped or shipped',
    phase String COMMENT 'The phase at that time',
    strategy LowCardinality(String) COMMENT 'How a run got its variant',
    variants Map(String, Float64) COMMENT 'Variants and their weights at that time',
    control String COMMENT 'The variant compared with; empty where not stated',
    unit LowCardinality(String) COMMENT 'The kind of randomised unit',
    traffic Float64 COMMENT 'The share of units in the experiment',
    hash_version LowCardinality(String) COMMENT 'The hash of assignments',
    phases Array(Tuple(phase String, started_at DateTime64(6, 'UTC'), weights Map(String, Float64), reason String)) COMMENT 'All phases up to then',
    alpha Float64 COMMENT 'The error allowed, over all looks together',
    planned_units Nullable(UInt64) COMMENT 'Units planned, fixed at the start',
    mde Nullable(Float64) COMMENT 'The least effect worth finding',
    reason String COMMENT 'Why it was changed',
    changed_at DateTime64(6, 'UTC') COMMENT 'When it was changed',
    record String COMMENT 'The whole record, as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the record was written to Kafka',
    offset UInt64 COMMENT 'Where the record lay in its partition'
)
AS
SELECT
    experiment, status, phase, strategy, variants, control, unit, traffic, hash_version, phases, alpha, planned_units,
    mde, reason, changed_at, record, recorded_at, offset
FROM raw_experiments FINAL
COMMENT 'Every record of the registry of experiments';

CREATE OR REPLACE VIEW experiments
(
    experiment String COMMENT 'The experiment',
    status LowCardinality(String) COMMENT 'draft, running, stopped or shipped',
    phase String COMMENT 'The present phase',
    strategy LowCardinality(String) COMMENT 'How a run gets its variant',
    variants Map(String, Float64) COMMENT 'Variants and their weights in the present phase',
    control String COMMENT 'The variant compared with; empty where not stated',
    unit LowCardinality(String) COMMENT 'The kind of randomised unit',
    traffic Float64 COMMENT 'The share of units in the experiment',
    hash_version LowCardinality(String) COMMENT 'The hash of assignments',
    phases Array(Tuple(phase String, started_at DateTime64(6, 'UTC'), weights Map(String, Float64), reason String)) COMMENT 'All phases so far, the present one last',
    alpha Float64 COMMENT 'The error allowed, over all looks together',
    planned_units Nullable(UInt64) COMMENT 'Units planned, fixed at the start',
    mde Nullable(Float64) COMMENT 'The least effect worth finding',
    reason String COMMENT 'Why it was changed',
    changed_at DateTime64(6, 'UTC') COMMENT 'When it was changed',
    record String COMMENT 'The whole record, as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the record was written to Kafka',
    offset UInt64 COMMENT 'Where the record lay in its partition'
)
AS
SELECT * FROM experiment_changes
ORDER BY recorded_at DESC, offset DESC
LIMIT 1 BY experiment
COMMENT 'The registry of experiments: the latest record of each';

CREATE OR REPLACE VIEW experiment_phases
(
    experiment String COMMENT 'The experiment',
    phase String COMMENT 'The phase',
    started_at DateTime64(6, 'UTC') COMMENT 'From when its weights count',
    weights Map(String, Float64) COMMENT 'Variants and their weights',
    reason String COMMENT 'Why the phase was opened'
)
AS
SELECT
    experiment,
    tupleElement(one, 1) AS phase,
    tupleElement(one, 2) AS started_at,
    tupleElement(one, 3) AS weights,
    tupleElement(one, 4) AS reason
FROM
(
    SELECT experiment, arrayJoin(phases) AS one
    FROM experiment_changes
    ORDER BY recorded_at DESC, offset DESC
)
LIMIT 1 BY experiment, phase
COMMENT 'The phases of all experiments, as the latest record with the phase has it';

CREATE OR REPLACE VIEW exposures
(
    run_id String COMMENT 'The run',
    exposure_id String COMMENT 'The exposure: made from run, experiment and variant where its producer gave none',
    experiment LowCardinality(String) COMMENT 'The experiment',
    variant LowCardinality(String) COMMENT 'The variant that the run was given',
    phase LowCardinality(String) COMMENT 'The experiment''s version at that time',
    probability Nullable(Float64) COMMENT 'How likely that choice was; NULL where nobody knows',
    unit String COMMENT 'What was randomised; the run where nothing else was said',
    strategy LowCardinality(String) COMMENT 'How the choice was made',
    exposed_at DateTime64(6, 'UTC') COMMENT 'When',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    weights_from LowCardinality(String) COMMENT 'Where the weights came from: registry, cache or code; empty where not stated'
)
AS
SELECT
    run_id, exposure_id, experiment, variant, phase, probability, unit, strategy, exposed_at, recorded_at, weights_from
FROM raw_exposures FINAL
COMMENT 'Exposures: which variant of an experiment a run was given, and with what probability';

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
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run, by experiment: as the score carries the experiment, else as it was recorded for the run; a probability of 0 is unknown'
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
        arraySort(
            arrayConcat(
                score.exposures,
                arrayFilter(
                    recorded -> NOT arrayExists(carried -> carried.experiment = recorded.1, score.exposures),
                    exposed.exposures
                )
            )
        ),
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
    SELECT run_id, arraySort(groupArray((toString(experiment), toString(variant), toString(phase), ifNull(probability, 0)))) AS exposures
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

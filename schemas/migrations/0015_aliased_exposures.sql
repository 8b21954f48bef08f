-- What was exposed under a trace's id belongs to the run that the root of the trace says, as scores, open waits and
-- follow-ups do: evaluations of feature flags in spans without the run's id find their experiment's results.

CREATE OR REPLACE VIEW run_aliases
(
    run_id String COMMENT 'The id of a trace',
    known_as String COMMENT 'The id of its run, as the root of the trace says it'
)
AS
SELECT run_id, known_as FROM raw_run_aliases FINAL
COMMENT 'Traces whose root says another run id';

CREATE OR REPLACE VIEW exposures
(
    run_id String COMMENT 'The run; for a trace whose root says another run id, that id',
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
WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases)
UNION ALL
SELECT
    alias.known_as AS run_id, told.exposure_id AS exposure_id, told.experiment AS experiment, told.variant AS variant,
    told.phase AS phase, told.probability AS probability,
    if(told.unit = told.run_id, alias.known_as, told.unit) AS unit, told.strategy AS strategy,
    told.exposed_at AS exposed_at, told.recorded_at AS recorded_at, told.weights_from AS weights_from
FROM (SELECT * FROM raw_exposures FINAL WHERE run_id IN (SELECT run_id FROM raw_run_aliases)) AS told
INNER JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON alias.run_id = told.run_id
COMMENT 'Exposures: which variant of an experiment a run was given, and with what probability';

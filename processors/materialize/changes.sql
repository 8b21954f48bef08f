-- New facts note their runs. Each table that the rows are made of notes what came into it: so that of two tables with
-- one fact the one written last notes its run as well.

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_runs_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, recorded_at FROM raw_runs;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_steps_feed TO changed_runs AS
SELECT now64(6) AS inserted_at, run_id, min(raw_steps.recorded_at) AS recorded_at FROM raw_steps GROUP BY run_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_keys_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, inserted_at AS recorded_at FROM raw_keys_by_run;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_scores_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, inserted_at AS recorded_at FROM raw_latest_by_kind;

-- When these were recorded: results of experiments hold up to the oldest fact that isn't in the rows.
CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_stored_scores_feed TO changed_runs AS
SELECT now64(6) AS inserted_at, run_id, min(raw_scores.recorded_at) AS recorded_at FROM raw_scores GROUP BY run_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_stored_waits_feed TO changed_runs AS
SELECT now64(6) AS inserted_at, run_id, min(raw_waits.recorded_at) AS recorded_at FROM raw_waits GROUP BY run_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_exposures_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, recorded_at FROM raw_exposures;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_carried_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, inserted_at AS recorded_at FROM raw_carried_exposures;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_numbers_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, inserted_at AS recorded_at FROM raw_first_numbers;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_aliases_feed TO changed_runs AS
SELECT DISTINCT now64(6) AS inserted_at, run_id, inserted_at AS recorded_at FROM raw_alias_pairs;

CREATE MATERIALIZED VIEW IF NOT EXISTS changed_by_cancellations_feed TO changed_runs AS
SELECT now64(6) AS inserted_at, '' AS run_id, subject, id AS wait_id, recorded_at FROM raw_cancellations WHERE topic = 'waits';

-- The views for reading, on the tables: applied once the rows of all runs are written. Their columns and comments
-- are those of the migrations.

CREATE OR REPLACE VIEW scored_runs AS
WITH
    (
        SELECT groupArray((toString(name), toString(refused_kind))) FROM score_kinds WHERE refused_kind != ''
    ) AS refused
SELECT
    run_id, reinterpretAsUInt128(sipHash128(run_id)) AS run_key, started_at, ended_at, latency_seconds, agent, version, status, session_id, parent_run_id,
    origin, error, recorded_at, attributes, model, models, steps, failed_steps, input_tokens, output_tokens,
    cost_usd, experiments, variants,
    if(empty(refused), row.score_names, arrayFilter((name, kind) -> NOT has(refused, (toString(name), toString(kind))), row.score_names, row.score_kinds)) AS score_names,
    if(empty(refused), row.score_kinds, arrayFilter((kind, name) -> NOT has(refused, (toString(name), toString(kind))), row.score_kinds, row.score_names)) AS score_kinds,
    if(empty(refused), row.score_values, arrayFilter((value, name, kind) -> NOT has(refused, (toString(name), toString(kind))), row.score_values, row.score_names, row.score_kinds)) AS score_values
FROM raw_scored_runs AS row FINAL;

CREATE OR REPLACE VIEW score_rows AS
SELECT
    name, started_at, reinterpretAsUInt128(sipHash128(run_id)) AS run_key, score_id, run_id, step_id, value, kind, revision, reason, late, subject,
    outcome_id, occurred_at, decided_at, agent, run_known, version, status, session_id, origin, wait_opened_at,
    wait_deadline, model, latency_micros / 1e6 AS latency_seconds, cost_usd, attributes, exposures, place
FROM raw_score_rows FINAL
WHERE (name, kind) NOT IN (SELECT name, refused_kind FROM score_kinds WHERE refused_kind != '');

CREATE OR REPLACE VIEW exposure_rows AS
WITH
    (
        SELECT groupArray((toString(name), toString(refused_kind))) FROM score_kinds WHERE refused_kind != ''
    ) AS refused
SELECT
    experiment, started_at, reinterpretAsUInt128(sipHash128(run_id)) AS run_key, run_id, variant, phase, probability,
    if(row.unit = '', row.run_id, row.unit) AS unit, unit_key, place, strategy, exposed_at,
    recorded_at, carried, run_known, agent, version, status, origin, model, latency_seconds, steps, input_tokens,
    output_tokens, cost_usd, attributes, earlier_numbers, subjects, answer_names, answer_began, answer_ended,
    answer_values, answer_causes, answer_revised_at, answer_occurred_at,
    if(empty(refused), row.score_names, arrayFilter((name, kind) -> NOT has(refused, (toString(name), toString(kind))), row.score_names, row.score_kinds)) AS score_names,
    if(empty(refused), row.score_kinds, arrayFilter((kind, name) -> NOT has(refused, (toString(name), toString(kind))), row.score_kinds, row.score_names)) AS score_kinds,
    if(empty(refused), row.score_values, arrayFilter((value, name, kind) -> NOT has(refused, (toString(name), toString(kind))), row.score_values, row.score_names, row.score_kinds)) AS score_values
FROM raw_exposure_rows AS row FINAL;

CREATE OR REPLACE VIEW open_waits AS
SELECT
    deadline, reinterpretAsUInt128(sipHash128(run_id)) AS run_key, subject, wait_id, run_id, step_id, name, agent, mode, opened_at,
    toBool(deadline < now64(6)) AS overdue, origin, attributes
FROM raw_open_waits FINAL
WHERE NOT answered OR deadline >= now64(6);

CREATE OR REPLACE VIEW changed_scores AS
SELECT score_id, run_id, name, value, revision, reason, late, subject, decided_at
FROM raw_changed_scores FINAL;

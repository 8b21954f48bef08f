-- Alerts are noticed by rules: a row for each state of each alert, firing or resolved, whichever way it is repeated;
-- and every record of the rules themselves.

ALTER TABLE raw_alerts
    ADD COLUMN IF NOT EXISTS state_revision UInt64 COMMENT 'Orders the states of one alert: the highest counts' CODEC(ZSTD(1)) AFTER recorded_at,
    ADD COLUMN IF NOT EXISTS state LowCardinality(String) COMMENT 'firing or resolved' AFTER state_revision,
    MODIFY ORDER BY (alert_id, state_revision, state);

ALTER TABLE raw_alerts
    ADD COLUMN IF NOT EXISTS rule_kind LowCardinality(String) COMMENT 'score, rate, silence, pending_for, expired or guardrail' AFTER state,
    ADD COLUMN IF NOT EXISTS cause String COMMENT 'The score; or group and end of the first breaching window; or the wait; or experiment, phase, variant and metric' CODEC(ZSTD(1)) AFTER rule_kind,
    ADD COLUMN IF NOT EXISTS severity LowCardinality(String) COMMENT 'page, warning or info' AFTER cause,
    ADD COLUMN IF NOT EXISTS subjects Map(LowCardinality(String), String) COMMENT 'The alert''s subject by names: agent, attributes, variant, experiment' CODEC(ZSTD(1)) AFTER severity,
    ADD COLUMN IF NOT EXISTS threshold String COMMENT 'The line, in words' CODEC(ZSTD(1)) AFTER subjects,
    ADD COLUMN IF NOT EXISTS detected_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the role alerts noticed' CODEC(ZSTD(1)) AFTER threshold,
    ADD COLUMN IF NOT EXISTS notify Array(LowCardinality(String)) COMMENT 'Names of receivers' CODEC(ZSTD(1)) AFTER detected_at,
    ADD COLUMN IF NOT EXISTS silent LowCardinality(String) COMMENT 'Why nobody is notified; empty where receivers are' AFTER notify,
    ADD COLUMN IF NOT EXISTS links String COMMENT 'The URL of a page about the alert' CODEC(ZSTD(1)) AFTER silent;

ALTER TABLE raw_alerts
    MODIFY COLUMN IF EXISTS value Nullable(Float64) COMMENT 'The score''s value, or the window''s; booleans are 0 and 1' CODEC(ZSTD(1));

ALTER TABLE raw_alerts COMMENT COLUMN IF EXISTS name 'The rule';

ALTER TABLE raw_alerts COMMENT COLUMN IF EXISTS run_id 'The run that the alert is about; empty where the alert is about many';

CREATE TABLE IF NOT EXISTS raw_alert_rules
(
    name String COMMENT 'The rule' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the record was written to Kafka' CODEC(Delta, ZSTD(1)),
    offset UInt64 COMMENT 'Where the record lay in its partition' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'score, rate, silence, pending_for, expired or guardrail',
    enabled Bool COMMENT 'Whether the rule is judged',
    severity LowCardinality(String) COMMENT 'page, warning or info',
    score LowCardinality(String) COMMENT 'The name of its scores; empty where not stated',
    notify Array(LowCardinality(String)) COMMENT 'Names of receivers' CODEC(ZSTD(1)),
    muted_until Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when nobody is notified' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'One more with each change' CODEC(ZSTD(1)),
    changed_at DateTime64(6, 'UTC') COMMENT 'When it was changed' CODEC(Delta, ZSTD(1)),
    changed_by String COMMENT 'Who changed it, or from which file' CODEC(ZSTD(1)),
    record String COMMENT 'The whole record, as JSON; empty where the rule was removed' CODEC(ZSTD(3)),
    row_version UInt128 COMMENT 'A record read again is the same row' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (name, recorded_at, offset)
COMMENT 'Rules of alerts: every record, since the topic keeps the last of each rule alone';

CREATE OR REPLACE VIEW alerts
(
    alert_id String COMMENT 'The alert',
    name LowCardinality(String) COMMENT 'The rule',
    run_id String COMMENT 'The run that the alert is about; empty where the alert is about many',
    score_id String COMMENT 'The score that crossed the line; empty where it is none',
    revision UInt64 COMMENT 'Orders the states of one alert: the highest counts',
    value Nullable(Float64) COMMENT 'The score''s value, or the window''s; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean; empty without a value',
    message String COMMENT 'The message for people',
    raised_at DateTime64(6, 'UTC') COMMENT 'When the state began',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    state LowCardinality(String) COMMENT 'firing or resolved',
    rule_kind LowCardinality(String) COMMENT 'score, rate, silence, pending_for, expired or guardrail',
    cause String COMMENT 'The score; or group and end of the first breaching window; or the wait; or experiment, phase, variant and metric',
    severity LowCardinality(String) COMMENT 'page, warning or info',
    subjects Map(LowCardinality(String), String) COMMENT 'The alert''s subject by names: agent, attributes, variant, experiment',
    threshold String COMMENT 'The line, in words',
    detected_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the role alerts noticed',
    notify Array(LowCardinality(String)) COMMENT 'Names of receivers',
    silent LowCardinality(String) COMMENT 'Why nobody is notified; empty where receivers are',
    links String COMMENT 'The URL of a page about the alert'
)
AS
SELECT
    alert_id, name, run_id, score_id, revision, value, kind, message, raised_at, recorded_at,
    if(state = '', 'firing', toString(state)) AS state,
    if(rule_kind = '', 'score', toString(rule_kind)) AS rule_kind,
    cause,
    if(severity = '', 'warning', toString(severity)) AS severity,
    subjects, threshold, detected_at, notify, silent, links
FROM raw_alerts FINAL
COMMENT 'Alerts: every state of every alert, the history. alert_states has the latest';

CREATE OR REPLACE VIEW alert_states
(
    alert_id String COMMENT 'The alert',
    name LowCardinality(String) COMMENT 'The rule',
    rule_kind LowCardinality(String) COMMENT 'score, rate, silence, pending_for, expired or guardrail',
    state LowCardinality(String) COMMENT 'firing or resolved, by the highest revision',
    severity LowCardinality(String) COMMENT 'page, warning or info',
    cause String COMMENT 'The cause',
    subjects Map(LowCardinality(String), String) COMMENT 'The alert''s subject by names: agent, attributes, variant, experiment',
    run_id String COMMENT 'The run that the alert is about; empty where the alert is about many',
    score_id String COMMENT 'The score that crossed the line; empty where it is none',
    value Nullable(Float64) COMMENT 'The value of the latest state',
    threshold String COMMENT 'The line, in words',
    message String COMMENT 'The message of the latest state',
    fired_at DateTime64(6, 'UTC') COMMENT 'When it fired first',
    changed_at DateTime64(6, 'UTC') COMMENT 'When the latest state began',
    revision UInt64 COMMENT 'The revision of the latest state',
    notify Array(LowCardinality(String)) COMMENT 'Names of receivers',
    silent LowCardinality(String) COMMENT 'Why nobody is notified of the latest state; empty where receivers are',
    links String COMMENT 'The URL of a page about the alert'
)
AS
SELECT
    alert_id,
    tupleElement(latest, 1) AS name,
    tupleElement(latest, 2) AS rule_kind,
    tupleElement(latest, 3) AS state,
    tupleElement(latest, 4) AS severity,
    tupleElement(latest, 5) AS cause,
    tupleElement(latest, 6) AS subjects,
    tupleElement(latest, 7) AS run_id,
    tupleElement(latest, 8) AS score_id,
    tupleElement(latest, 9) AS value,
    tupleElement(latest, 10) AS threshold,
    tupleElement(latest, 11) AS message,
    fired_at,
    tupleElement(latest, 12) AS changed_at,
    tupleElement(latest, 13) AS revision,
    tupleElement(latest, 14) AS notify,
    tupleElement(latest, 15) AS silent,
    tupleElement(latest, 16) AS links
FROM
(
    SELECT
        alert_id,
        minIf(raised_at, state = 'firing') AS fired_at,
        argMax(
            (
                name, rule_kind, state, severity, cause, subjects, run_id, score_id, value, threshold, message,
                raised_at, revision, notify, silent, links
            ),
            (revision, state = 'firing')
        ) AS latest
    FROM alerts
    GROUP BY alert_id
    HAVING countIf(state = 'firing') > 0
)
COMMENT 'Alerts: the latest state of each. A resolved state without a firing one is no alert';

CREATE OR REPLACE VIEW alert_rules
(
    name String COMMENT 'The rule',
    kind LowCardinality(String) COMMENT 'score, rate, silence, pending_for, expired or guardrail',
    enabled Bool COMMENT 'Whether the rule is judged',
    severity LowCardinality(String) COMMENT 'page, warning or info',
    score LowCardinality(String) COMMENT 'The name of its scores; empty where not stated',
    notify Array(LowCardinality(String)) COMMENT 'Names of receivers',
    muted_until Nullable(DateTime64(6, 'UTC')) COMMENT 'Until when nobody is notified',
    version UInt64 COMMENT 'One more with each change',
    changed_at DateTime64(6, 'UTC') COMMENT 'When it was changed',
    changed_by String COMMENT 'Who changed it, or from which file',
    record String COMMENT 'The whole record, as JSON',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When the record was written to Kafka'
)
AS
SELECT
    name, kind, enabled, severity, score, notify, muted_until, version, changed_at, changed_by, record, recorded_at
FROM
(
    SELECT * FROM raw_alert_rules FINAL
    ORDER BY recorded_at DESC, offset DESC
    LIMIT 1 BY name
)
WHERE record != ''
COMMENT 'Rules of alerts: the latest record of each; removed rules are left out';

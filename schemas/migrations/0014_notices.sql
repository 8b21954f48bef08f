-- Notices are what receivers are sent about alerts: a row for each record of each, the highest revision counts.

CREATE TABLE IF NOT EXISTS raw_notices
(
    notice_id String COMMENT 'The notice: an alert''s state for a receiver, or a digest' CODEC(ZSTD(1)),
    alert_id String COMMENT 'The alert; of a digest, its first' CODEC(ZSTD(1)),
    name LowCardinality(String) COMMENT 'The rule',
    receiver LowCardinality(String) COMMENT 'The receiver',
    receiver_kind LowCardinality(String) COMMENT 'webhook, slack, pagerduty, alertmanager, email or unknown',
    state LowCardinality(String) COMMENT 'firing or resolved',
    status LowCardinality(String) COMMENT 'pending, sent, retrying, dropped or failed',
    attempts UInt64 COMMENT 'Tries so far' CODEC(ZSTD(1)),
    last_status Nullable(UInt32) COMMENT 'The last status code, if the receiver answered' CODEC(ZSTD(1)),
    error String COMMENT 'Why the last try failed, or why nothing is sent' CODEC(ZSTD(1)),
    next_attempt_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it is tried next' CODEC(ZSTD(1)),
    digest_id String COMMENT 'The digest with this notice; empty where it is none' CODEC(ZSTD(1)),
    digest_of Array(String) COMMENT 'Of a digest: its alerts' CODEC(ZSTD(1)),
    raised_at DateTime64(6, 'UTC') COMMENT 'When the alert''s state began' CODEC(Delta, ZSTD(1)),
    sent_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the receiver took it' CODEC(ZSTD(1)),
    changed_at DateTime64(6, 'UTC') COMMENT 'Since when it stands so' CODEC(Delta, ZSTD(1)),
    revision UInt64 COMMENT 'Orders the records of a notice' CODEC(ZSTD(1)),
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka' CODEC(Delta, ZSTD(1)),
    row_version UInt128 COMMENT 'Of repetitions the one changed last counts' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(row_version)
ORDER BY (notice_id, revision)
COMMENT 'Notices of alerts: every record, from the first to the last try';

CREATE OR REPLACE VIEW notices
(
    notice_id String COMMENT 'The notice: an alert''s state for a receiver, or a digest',
    alert_id String COMMENT 'The alert; of a digest, its first',
    name LowCardinality(String) COMMENT 'The rule',
    receiver LowCardinality(String) COMMENT 'The receiver',
    receiver_kind LowCardinality(String) COMMENT 'webhook, slack, pagerduty, alertmanager, email or unknown',
    state LowCardinality(String) COMMENT 'firing or resolved',
    status LowCardinality(String) COMMENT 'pending, sent, retrying, dropped or failed',
    attempts UInt64 COMMENT 'Tries so far',
    last_status Nullable(UInt32) COMMENT 'The last status code, if the receiver answered',
    error String COMMENT 'Why the last try failed, or why nothing is sent',
    next_attempt_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it is tried next',
    digest_id String COMMENT 'The digest with this notice; empty where it is none',
    digest_of Array(String) COMMENT 'Of a digest: its alerts',
    raised_at DateTime64(6, 'UTC') COMMENT 'When the alert''s state began',
    sent_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the receiver took it',
    changed_at DateTime64(6, 'UTC') COMMENT 'Since when it stands so',
    revision UInt64 COMMENT 'Orders the records of a notice',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    notice_id, alert_id, name, receiver, receiver_kind, state, status, attempts, last_status, error,
    next_attempt_at, digest_id, digest_of, raised_at, sent_at, changed_at, revision, recorded_at
FROM raw_notices FINAL
ORDER BY revision DESC
LIMIT 1 BY notice_id
COMMENT 'Notices of alerts, each as it stands now';

CREATE OR REPLACE VIEW notice_changes
(
    notice_id String COMMENT 'The notice: an alert''s state for a receiver, or a digest',
    alert_id String COMMENT 'The alert; of a digest, its first',
    name LowCardinality(String) COMMENT 'The rule',
    receiver LowCardinality(String) COMMENT 'The receiver',
    receiver_kind LowCardinality(String) COMMENT 'webhook, slack, pagerduty, alertmanager, email or unknown',
    state LowCardinality(String) COMMENT 'firing or resolved',
    status LowCardinality(String) COMMENT 'pending, sent, retrying, dropped or failed',
    attempts UInt64 COMMENT 'Tries so far',
    last_status Nullable(UInt32) COMMENT 'The last status code, if the receiver answered',
    error String COMMENT 'Why the last try failed, or why nothing is sent',
    next_attempt_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it is tried next',
    digest_id String COMMENT 'The digest with this notice; empty where it is none',
    digest_of Array(String) COMMENT 'Of a digest: its alerts',
    raised_at DateTime64(6, 'UTC') COMMENT 'When the alert''s state began',
    sent_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the receiver took it',
    changed_at DateTime64(6, 'UTC') COMMENT 'Since when it stands so',
    revision UInt64 COMMENT 'Orders the records of a notice',
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka'
)
AS
SELECT
    notice_id, alert_id, name, receiver, receiver_kind, state, status, attempts, last_status, error,
    next_attempt_at, digest_id, digest_of, raised_at, sent_at, changed_at, revision, recorded_at
FROM raw_notices FINAL
COMMENT 'Notices of alerts: every change, so each try with its answer. notices has the latest';

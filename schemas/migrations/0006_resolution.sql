-- How exact an outcome's time is, and its place among those of one time: what the join goes by, for who decides anew.

ALTER TABLE raw_outcomes
    ADD COLUMN IF NOT EXISTS width UInt64 COMMENT 'Microseconds that its time covers beyond itself, as it was written: 999999 for whole seconds' CODEC(T64, ZSTD(1)) AFTER recorded_at,
    ADD COLUMN IF NOT EXISTS sequence String COMMENT 'Its place among the events of one time, as JSON; empty where its source does not say' CODEC(ZSTD(1)) AFTER width;

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
    recorded_at DateTime64(6, 'UTC') COMMENT 'When it was written to Kafka',
    width UInt64 COMMENT 'Microseconds that its time covers beyond itself, as it was written: 999999 for whole seconds',
    sequence String COMMENT 'Its place among the events of one time, as JSON; empty where its source does not say'
)
AS
SELECT subject, source, id, type, time, data, topic, partition, offset, recorded_at, width, sequence
FROM raw_outcomes FINAL
COMMENT 'Outcomes: what happened in the world, each once, at the earlier of its times';

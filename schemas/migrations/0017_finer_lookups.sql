-- The rows of runs whose facts changed are read from tables in another order, for hundreds of runs at once. Of a filter
-- that errs once in a hundred some run is found in most granules; of one that errs once in ten thousand in few.

ALTER TABLE raw_scores ADD INDEX IF NOT EXISTS by_its_run run_id TYPE bloom_filter(0.0001) GRANULARITY 1;

ALTER TABLE raw_scores MATERIALIZE INDEX by_its_run;

ALTER TABLE raw_waits ADD INDEX IF NOT EXISTS by_its_run run_id TYPE bloom_filter(0.0001) GRANULARITY 1;

ALTER TABLE raw_waits MATERIALIZE INDEX by_its_run;

ALTER TABLE raw_latest_by_kind ADD INDEX IF NOT EXISTS by_its_run run_id TYPE bloom_filter(0.0001) GRANULARITY 1;

ALTER TABLE raw_latest_by_kind MATERIALIZE INDEX by_its_run;

ALTER TABLE raw_scores DROP INDEX IF EXISTS by_run;

ALTER TABLE raw_waits DROP INDEX IF EXISTS by_run;

ALTER TABLE raw_latest_by_kind DROP INDEX IF EXISTS by_run;

-- Whether other runs say an id of these runs, too.

ALTER TABLE raw_keys_by_run ADD INDEX IF NOT EXISTS by_shared if(link = 0, key, link) TYPE bloom_filter(0.0001) GRANULARITY 16;

ALTER TABLE raw_keys_by_run MATERIALIZE INDEX by_shared;

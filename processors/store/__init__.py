"""The store: every event of the contract becomes a row in ClickHouse, once.

Comes in: the records of all topics. Goes out: rows, and dead letters for unusable records. The making of a
row (`rows`) is pure; `sink` is the only place for inserts, `migrate` the only place changing the schema.
"""

"""The store: every event of the contract becomes a row in ClickHouse, once.

Comes in: the records of all topics. Goes out: rows, and dead letters for what can't be used. What a row is
(`rows`) is pure; `sink` is the only place that inserts, `migrate` the only one that changes the schema.
"""

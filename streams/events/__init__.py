"""Records as data: topics, decoding (by schema and fast), dead letters, time, outgoing events, effects.

Comes in: bytes of Kafka records. Goes out: typed events, or the reason for refusing a record. Knows no
client.
"""

"""Kafka as data and machine: topics, codec, dead letters, the Faust app and its batch path, the producer.

The only package knowing Faust. Comes in: bytes from topics. Goes out: decoded events to `processors`, bytes
to topics.
"""

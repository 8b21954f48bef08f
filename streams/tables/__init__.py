"""A table's partitions on disk: keys, values, and when each key wants to be looked at.

Comes in: changes with the position that they bring the partition to, or a changelog's records. Goes out: values
by key, keys by their due instant. Knows RocksDB; knows neither Kafka nor Faust.
"""

from upshot.streams.tables.bulk import BulkLoad
from upshot.streams.tables.folders import Claim, Folders
from upshot.streams.tables.framing import UnknownFormat, frame, payload, unframe
from upshot.streams.tables.partition import PartitionTable, Stalled, Unusable
from upshot.streams.tables.tuning import Memory

__all__ = [
    "BulkLoad",
    "Claim",
    "Folders",
    "Memory",
    "PartitionTable",
    "Stalled",
    "UnknownFormat",
    "Unusable",
    "frame",
    "payload",
    "unframe",
]

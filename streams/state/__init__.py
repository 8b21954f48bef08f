"""A table's partitions on disk: keys, values, and when each key wants to be looked at.

Comes in: changes with the position reached by the partition through them, or a changelog's records. Goes out:
values by key, keys by their due instant. Knows RocksDB; knows neither Kafka nor Faust.
"""

from upshot.streams.state.bulk import BulkLoad
from upshot.streams.state.folders import Claim, Folders
from upshot.streams.state.framing import UnknownFormat, frame, payload, unframe
from upshot.streams.state.partition import PartitionTable, Stalled, UnusableState
from upshot.streams.state.tuning import Memory

__all__ = [
    "BulkLoad",
    "Claim",
    "Folders",
    "Memory",
    "PartitionTable",
    "Stalled",
    "UnknownFormat",
    "UnusableState",
    "frame",
    "payload",
    "unframe",
]

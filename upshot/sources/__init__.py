"""Sources: outcomes out of what others send in shapes of their own, by a mapping in code.

Comes in: a record of some Kafka topic, or a signed webhook. Goes out: the outcomes that it means.
"""

from upshot.sources.message import Message
from upshot.sources.source import Source, outcomes_of

__all__ = ["Message", "Source", "outcomes_of"]

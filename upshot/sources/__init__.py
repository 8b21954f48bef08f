"""Sources: outcomes out of other systems' messages, by a mapping in code.

Input: a record of some Kafka topic, or a signed webhook. Output: the outcomes for the message.
"""

from upshot.sources.message import Message
from upshot.sources.source import Source, outcomes_of

__all__ = ["Message", "Source", "outcomes_of"]

"""Subjects with much to hold: kept in parts, answered from ordered shelves, and weighed a little at a time.

Comes in: the outcomes and waits of a subject, in order. Goes out: the same facts as
`upshot.processors.correlate.decide` gives, the changed parts, and how far the work is. See decision 0019.
"""

from upshot.processors.correlate.crowded.crowd import Crowd
from upshot.processors.correlate.crowded.layout import Head, decode_head, is_head
from upshot.processors.correlate.crowded.weighing import AT_ONCE, Crowds, Limits

__all__ = ["AT_ONCE", "Crowd", "Crowds", "Head", "Limits", "decode_head", "is_head"]

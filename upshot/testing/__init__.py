"""For tests of programs using Upshot, without Kafka: the events of an app, as plain dicts; a clock to set;
follow-ups and waits played through, weeks in milliseconds."""

from upshot.testing.capture import Captured, capture
from upshot.testing.clock import FakeClock
from upshot.testing.followups import Rehearsal, followup
from upshot.testing.memory import MemoryTransport
from upshot.testing.variants import variants
from upshot.testing.waits import WaitRehearsal, wait

__all__ = [
    "Captured",
    "FakeClock",
    "MemoryTransport",
    "Rehearsal",
    "WaitRehearsal",
    "capture",
    "followup",
    "variants",
    "wait",
]

"""For tests of programs that use Upshot, without Kafka: what an app sent, as plain dicts; a clock to set; and follow-ups
played through, weeks in milliseconds."""

from upshot.testing.capture import Captured, capture
from upshot.testing.clock import FakeClock
from upshot.testing.followups import Rehearsal, followup
from upshot.testing.memory import MemoryTransport

__all__ = ["Captured", "FakeClock", "MemoryTransport", "Rehearsal", "capture", "followup"]

"""For tests of programs that use Upshot: what an app sent, as plain dicts, without Kafka; and a clock to set."""

from upshot.testing.capture import Captured, capture
from upshot.testing.clock import FakeClock
from upshot.testing.memory import MemoryTransport

__all__ = ["Captured", "FakeClock", "MemoryTransport", "capture"]

"""Follow-ups in code: async functions that wait, for minutes or weeks, for what happens after a run, and score it.

Comes in: what is known of a follow-up (`upshot.processors.followups.execution.Memory`). Goes out: what its code
asks for next. Nothing here keeps anything; that is the worker's part.
"""

from upshot.followups.context import Followup
from upshot.followups.events import Event, Expected, expect
from upshot.followups.executor import LoopExecutor, make_executor
from upshot.followups.scorers import Scorer

__all__ = ["Event", "Expected", "Followup", "LoopExecutor", "Scorer", "expect", "make_executor"]

"""The state machine of a branch: its states, the events moving the branch, and the one table of transitions.

| state | meaning |
| --- | --- |
| `BEGUN` | the branch has asked for nothing yet, and may belong to a library |
| `RUNNING` | the branch has asked for something |
| `FAILING` | a step failed, and the code has not got over the failure yet |
| `SUSPENDED` | an answer is missing: `Suspended` is on its way out of the code |
| `INTERRUPTED` | the code around cancelled the branch while the branch awaited a step |
| `ABANDONED` | the branch began while the branch above was on its way out |

| event | in the state | next state | effect |
| --- | --- | --- | --- |
| the code asks for something | `BEGUN`, `RUNNING` | `RUNNING` | the code continues |
| | `FAILING` | `RUNNING` | the code continues; the failure of the step now counts |
| | `SUSPENDED`, handling `Suspended` | the same | raises Suspended |
| | `SUSPENDED`, else | the same | raises Misuse "the code went on without knowing …" |
| | `INTERRUPTED`, an answer missing anywhere | the same | raises Suspended |
| | `INTERRUPTED`, else | the same | raises Misuse "step … was cancelled by the code around it …" |
| | `ABANDONED` | the same | raises Suspended |
| | any, the replay over, an answer missing anywhere | the same | raises Suspended |
| | any, the replay over, else | the same | raises Misuse "this follow-up's code has ended …" |
| the code only looks at the clock | `BEGUN`, `RUNNING`, `FAILING` | the same | the code continues |
| | any other, or the replay over | the same | raises as asking would |
| an answer is missing | `RUNNING` | `SUSPENDED` | raises Suspended |
| a step is awaited, and cancelled | `RUNNING` | `INTERRUPTED` | raises CancelledError; the step goes on |
| a step failed | `RUNNING` | `FAILING` | raises StepFailed |
| a branch begins below | `SUSPENDED`, `ABANDONED` | the same | the new branch is `ABANDONED` |
| | any other | the same | the new branch is `BEGUN` |
| the task ends | any | the same | the end is noted, and compared with the moves of the branch above |
| the replay ends as done | `FAILING` | the same | the failure of the step now counts |

Code catching a Misuse of the table, and going on to its end, doesn't end as done: the follow-up fails with
the text of the Misuse.

Code outside of the replay's branches is in no state: asking raises Misuse "ctx is used outside …". An
ended branch keeps its last state. An event without a row for a state leaves the state unchanged.
"""

from __future__ import annotations

from enum import Enum, auto


class BranchState(Enum):
    """The states of a branch."""

    BEGUN = auto()
    RUNNING = auto()
    FAILING = auto()
    SUSPENDED = auto()
    INTERRUPTED = auto()
    ABANDONED = auto()

    @property
    def has_asked(self) -> bool:
        """Whether a branch in this state has ever asked for anything."""
        return self not in (BranchState.BEGUN, BranchState.ABANDONED)

    @property
    def of_new_branch(self) -> BranchState:
        """The first state of a new branch below a branch in this state."""
        leaving = self in (BranchState.SUSPENDED, BranchState.ABANDONED)
        return BranchState.ABANDONED if leaving else BranchState.BEGUN


class BranchEvent(Enum):
    """An event moving the state of a branch."""

    ASKS = auto()
    ANSWER_MISSING = auto()
    STEP_CANCELLED = auto()
    STEP_FAILED = auto()


_TRANSITIONS = {
    (BranchState.BEGUN, BranchEvent.ASKS): BranchState.RUNNING,
    (BranchState.FAILING, BranchEvent.ASKS): BranchState.RUNNING,
    (BranchState.RUNNING, BranchEvent.ANSWER_MISSING): BranchState.SUSPENDED,
    (BranchState.RUNNING, BranchEvent.STEP_CANCELLED): BranchState.INTERRUPTED,
    (BranchState.RUNNING, BranchEvent.STEP_FAILED): BranchState.FAILING,
}


def after(state: BranchState, event: BranchEvent) -> BranchState:
    """The state after an event."""
    return _TRANSITIONS.get((state, event), state)


__all__ = ["BranchEvent", "BranchState", "after"]

"""The table of transitions: every state and event has a row, and docstring and code say the same."""

from __future__ import annotations

import re
from itertools import product
from typing import NamedTuple

import pytest

from upshot.followups import states
from upshot.followups.states import BranchEvent, BranchState, after

#: The docstring's names of the events that may move a branch to another state.
EVENTS = {
    "the code asks for something": BranchEvent.ASKS,
    "an answer is missing": BranchEvent.ANSWER_MISSING,
    "a step is awaited, and cancelled": BranchEvent.STEP_CANCELLED,
    "a step failed": BranchEvent.STEP_FAILED,
}
BEGINS_BELOW = "a branch begins below"
#: Events without a member of `BranchEvent`: no row of theirs leads to another state.
UNMOVING = {"the code only looks at the clock", BEGINS_BELOW, "the task ends", "the replay ends as done"}
OVER = "any, the replay over"


class Row(NamedTuple):
    """A row of the docstring's table of events, with the event of the row where the cell is filled."""

    event: str
    state: str
    next_state: str
    effect: str


def cells(table: str) -> list[list[str]]:
    """The rows of the docstring's table with this first column, without the head."""
    doc = states.__doc__ or ""
    [body] = re.findall(rf"^\| {table} \|.*\n\| ---.*\n((?:\|.*\n)+)", doc, re.MULTILINE)
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body.splitlines()]


def rows() -> list[Row]:
    """The table of events; an empty first cell stands for the event of the row above."""
    found: list[Row] = []
    for event, *rest in cells("event"):
        found.append(Row(event or found[-1].event, *rest))
    return found


def named(cell: str) -> list[BranchState]:
    """The states in a cell."""
    return [BranchState[name] for name in re.findall(r"`([A-Z]+)`", cell)]


def decided(event: str) -> dict[BranchState, list[Row]]:
    """The rows of an event for each state; `any other` stands for the states in no other row of the event.

    Without the rows for any state once the replay is over: these move no branch.
    """
    found: dict[BranchState, list[Row]] = {}
    own = [row for row in rows() if row.event == event and not row.state.startswith(OVER)]
    for row in own:
        if row.state.startswith("any other"):
            of_row = [state for state in BranchState if not any(state in named(one.state) for one in own)]
        elif row.state.startswith("any"):
            of_row = list(BranchState)
        else:
            of_row = named(row.state)
        assert of_row, row
        for state in of_row:
            found.setdefault(state, []).append(row)
    return found


def next_states(event: str, state: BranchState) -> set[BranchState]:
    """The docstring's next states; without a row the state stays unchanged."""
    found = {
        state if row.next_state == "the same" else BranchState[row.next_state.strip("`")]
        for row in decided(event).get(state, [])
    }
    return found or {state}


def test_every_state_has_a_meaning() -> None:
    assert [row[0].strip("`") for row in cells("state")] == [state.name for state in BranchState]
    assert all(meaning for _, meaning in cells("state"))


def test_every_event_is_in_the_table() -> None:
    assert set(EVENTS.values()) == set(BranchEvent)
    assert {row.event for row in rows()} == EVENTS.keys() | UNMOVING


@pytest.mark.parametrize(("event", "state"), list(product(EVENTS, BranchState)))
def test_the_docstring_and_the_code_have_the_same_next_state(event: str, state: BranchState) -> None:
    assert next_states(event, state) == {after(state, EVENTS[event])}


def test_each_transition_has_a_row_of_its_own() -> None:
    moving = {
        (state, EVENTS[event])
        for event, state in product(EVENTS, BranchState)
        if next_states(event, state) != {state}
    }
    moved = {move for move, state in states._TRANSITIONS.items() if move[0] is not state}
    assert moved == moving == set(states._TRANSITIONS)


def test_asking_looking_beginning_below_and_ending_have_a_row_for_every_state() -> None:
    for event in (
        "the code asks for something",
        "the code only looks at the clock",
        BEGINS_BELOW,
        "the task ends",
    ):
        assert decided(event).keys() == set(BranchState), event


def test_no_branch_moves_once_the_replay_is_over() -> None:
    over = [row for row in rows() if "the replay over" in row.state]
    assert [row.next_state for row in over] == ["the same"] * 3


def test_other_events_move_no_branch() -> None:
    for event, state in product(UNMOVING, BranchState):
        assert next_states(event, state) == {state}


@pytest.mark.parametrize("state", BranchState)
def test_the_first_state_of_a_branch_below(state: BranchState) -> None:
    [row] = decided(BEGINS_BELOW)[state]
    assert named(row.effect) == [state.of_new_branch]


def test_a_branch_has_asked_once_it_left_its_first_state() -> None:
    first = {state.of_new_branch for state in BranchState}
    assert {state for state in BranchState if not state.has_asked} == first

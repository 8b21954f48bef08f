"""The peers' join: the first outcome decides, once. State is a small dict per subject."""

from __future__ import annotations

from typing import Any

State = dict[str, Any]
Score = dict[str, Any]


def join(state: State | None, event: dict[str, Any]) -> tuple[State, Score | None]:
    """The state after a wait or an outcome, and the score that it brings about."""
    state = dict(state) if state else {}
    if "rule" in event:
        if "wait_id" in state:
            return state, None
        state.update(wait_id=event["wait_id"], run_id=event["run_id"], name=event["name"])
    else:
        if "outcome_id" in state:
            return state, None
        state.update(outcome_id=event["id"], value=event["data"]["merged"], time=event["time"])
    if "wait_id" in state and "outcome_id" in state:
        return state, _score(event["subject"], state)
    return state, None


def _score(subject: str, state: State) -> Score:
    return {
        "score_id": state["wait_id"],
        "run_id": state["run_id"],
        "name": state["name"],
        "value": state["value"],
        "reason": "outcome",
        "subject": subject,
        "wait_id": state["wait_id"],
        "outcome_id": state["outcome_id"],
        "occurred_at": state["time"],
    }

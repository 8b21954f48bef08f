"""What the doctor makes of follow-ups."""

from __future__ import annotations

import pytest

from tests.cli.test_doctor_workers import worker
from upshot.ops.doctor.followups import FollowupStanding, executions, followups


def test_nothing_is_said_where_all_go_on() -> None:
    assert (followups(FollowupStanding({})).state, followups(FollowupStanding({})).found) == ("fine", "none")
    found = followups(FollowupStanding({"waiting": 1200, "done": 3}))
    assert (found.state, found.found) == ("fine", "3 done, 1,200 waiting")


@pytest.mark.parametrize(
    ("standing", "state", "found", "to_do"),
    [
        (
            FollowupStanding({}, undeployed=[["quality", "2", "7"]]),
            "wrong",
            "no worker has the code of quality version 2 (7)",
            "deploy",
        ),
        (
            FollowupStanding({}, failed=[["quality", "1", "3", "KeyError: 'rating'\n at home"]]),
            "notice",
            "failed: quality version 1 (3), the last with KeyError: 'rating'",
            "upshot followups retry --all-failed",
        ),
        (FollowupStanding({}, not_taken=(4, "quality")), "wrong", "4 deferrals", "upshot worker --app"),
        (
            FollowupStanding({}, not_answered=(2, "f1")),
            "wrong",
            "2 wait beyond their deadline, such as f1",
            "correlate",
        ),
    ],
)
def test_what_cannot_go_on_is_told(standing: FollowupStanding, state: str, found: str, to_do: str) -> None:
    finding = followups(standing)
    assert finding.state == state
    assert found in finding.found
    assert to_do in finding.to_do


def test_the_worst_comes_first_and_all_are_told() -> None:
    code = [["a", "1", "1"]]
    finding = followups(FollowupStanding({}, undeployed=code * 7, failed=[["b", "1", "1", "no"]]))
    assert (finding.state, finding.to_do.split()[0]) == ("wrong", "deploy")
    assert "and 2 more; failed: b version 1" in finding.found


def test_an_execution_that_does_not_end_is_noticed() -> None:
    told = {"upshot.followups.running": 2, "upshot.followups.running.oldest": 30}
    assert executions([worker("followups", told, told)]).state == "fine"
    told |= {"upshot.followups.running.oldest": 7200}
    found = executions([worker("followups", told, told)])
    assert (found.state, found.found) == ("notice", "2 are running, the oldest for 2 h")

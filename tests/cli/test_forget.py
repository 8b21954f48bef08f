"""`upshot forget` against a whole running system: one pass is enough."""

from __future__ import annotations

import json

import pytest

from tests.upshot_process import WholeStack

pytestmark = pytest.mark.stack
RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}
#: Everywhere a run or subject could stand.
LEFT = """
SELECT sum(n) AS left FROM
(
    SELECT count() AS n FROM raw_scores WHERE run_id = {run:String}
    UNION ALL SELECT count() FROM raw_waits WHERE run_id = {run:String}
    UNION ALL SELECT count() FROM raw_runs WHERE run_id = {run:String}
    UNION ALL SELECT count() FROM raw_score_rows WHERE run_id = {run:String}
    UNION ALL SELECT count() FROM raw_scored_runs WHERE run_id = {run:String}
    UNION ALL SELECT count() FROM raw_outcomes WHERE subject = {subject:String}
    UNION ALL SELECT count() FROM raw_score_rows WHERE subject = {subject:String}
    UNION ALL SELECT count() FROM changed_runs WHERE run_id = {run:String} AND {run:String} = 'forget-1'
)"""


def lines(*events: dict[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def left(stack: WholeStack, run: str, subject: str) -> int:
    params = ("--param", f"run={run}", "--param", f"subject={subject}")
    return int(json.loads(stack.upshot("query", "--json", *params, LEFT).stdout)[0]["left"])


def test_events_on_their_way_are_forgotten_in_the_same_pass(stack: WholeStack) -> None:
    runs = [{"run_id": f"forget-{n}", "agent": "f", "started_at": "2026-05-01T00:00:00Z"} for n in (1, 2)]
    waits = [
        {"run_id": f"forget-{n}", "name": "merged", "subject": f"forget:{n}", "rule": RULE} for n in (1, 2)
    ]
    closed = [
        {"type": "pr.closed", "subject": f"forget:{n}", "id": f"forget-{n}", "data": {"merged": True}}
        for n in (1, 2)
    ]
    stack.upshot("emit", "runs", text=lines(*runs))
    stack.upshot("emit", "waits", text=lines(*waits))
    stack.upshot("emit", "outcomes", text=lines(*closed))
    asked = "SELECT run_id FROM score_rows WHERE agent = 'f' ORDER BY run_id"
    stack.eventually(asked, [{"run_id": "forget-1"}, {"run_id": "forget-2"}])
    # These are still to be stored when the command begins.
    stack.upshot("emit", "scores", text=lines({"run_id": "forget-1", "name": "liked", "value": 1}))
    told = stack.upshot("forget", "--run", "forget-1", "--yes", "--json")
    answer = json.loads(told.stdout)
    assert (told.returncode, answer["forgotten"], answer["left"]) == (0, True, []), told.stderr
    assert left(stack, "forget-1", "-") == 0
    assert left(stack, "forget-2", "forget:2") > 0

    told = stack.upshot("forget", "--subject", "forget:2", "--yes", "--json")
    assert (told.returncode, json.loads(told.stdout)["forgotten"]) == (0, True), told.stderr
    assert left(stack, "-", "forget:2") == 0
    again = stack.upshot("forget", "--subject", "forget:2", "--yes", "--json")
    assert json.loads(again.stdout)["rows"] == {}

"""`upshot experiments list|show|start|set|stop|ship|verify`, as a user calls them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.upshot_process import WholeStack

pytestmark = pytest.mark.stack
NAME = "reply-tone of the commands"


def record(stack: WholeStack, *arguments: str) -> dict[str, Any]:
    done = stack.upshot("experiments", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_experiment_from_its_start_to_its_winner(stack: WholeStack) -> None:
    begin = ("start", NAME, "--control", "plain", "--variants", "plain=1,warm=1", "--unit", "user")
    metrics = ("--decide", "solved:rate:P7D", "--guard", "cost_usd:mean:+10%", "--traffic", "20%")
    begun = record(stack, *begin, *metrics, "--audience", "attributes.plan=='pro'")
    assert (begun["status"], begun["phase"], begun["traffic"]) == ("running", "1", 0.2)
    assert [metric["role"] for metric in begun["metrics"]] == ["decision", "guardrail"]
    again = stack.upshot("experiments", *begin)
    assert again.returncode == 2 and "running already; nothing was changed" in again.stderr
    assert record(stack, "set", NAME, "--traffic", "50%")["phase"] == "1"
    refused = stack.upshot("experiments", "set", NAME, "--variants", "plain=1,warm=3", text="n\n")
    assert refused.returncode == 1 and "phase 2" in refused.stdout
    changed = record(stack, "set", NAME, "--variants", "plain=1,warm=3", "--yes", "--reason", "more")
    assert [phase["phase"] for phase in changed["phases"]] == ["1", "2"]
    listed = json.loads(stack.upshot("experiments", "list", "--json").stdout)
    assert NAME in {one["experiment"] for one in listed}
    assert "phase 2" in stack.upshot("experiments", "show", NAME).stdout
    shipped = record(stack, "ship", NAME, "warm", "--reason", "+5 points")
    assert (shipped["status"], shipped["variants"]) == ("shipped", {"plain": 0, "warm": 1})
    assert shipped["shipped"]["reason"] == "+5 points" and "verdict" in shipped["shipped"]["results"]
    stack.eventually(
        f"SELECT count() AS records FROM experiment_changes WHERE experiment = '{NAME}'", [{"records": 4}]
    )
    assert stack.upshot("experiments", "verify", NAME).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nobody's"),
        ("stop", "nobody's"),
        ("set", "nobody's"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=x"),
        ("start", "e", "--control", "a", "--variants", "a=0,b=0"),
        ("start", "e", "--control", "c", "--variants", "a=1,b=1"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=-1"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=nan"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--traffic", "120%"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--audience", "(("),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--layer", "support"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--layer", "support:500-0"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--layer", "a:0-5", "--layer", "b:0-5"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--holdout", "global"),
        ("start", "e", "--control", "a", "--variants", "a=1,b=1", "--holdout", "global:200%"),
    ],
)
def test_wrong_usage_changes_nothing(stack: WholeStack, arguments: tuple[str, ...]) -> None:
    done = stack.upshot("experiments", *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) < 6


def test_layers_and_holdouts(stack: WholeStack) -> None:
    done = stack.upshot(
        *("experiments", "start", "layered", "--control", "a", "--variants", "a=1,b=1", "--unit", "user"),
        *("--layer", "support:0-250", "--layer", "support:500-750", "--holdout", "global:5%"),
        *("--decide", "solved:rate:P7D", "--mde", "0.05", "--json"),
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["layer"] == {"name": "support", "slots": [[0, 250], [500, 750]]}
    assert record["holdout"] == {"name": "global", "share": 0.05}
    assert record["planned_units"] == 6_012

"""`upshot experiments results` and `power`, as a user calls them."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.upshot_process import WholeStack

BEGAN = datetime.now(UTC) - timedelta(days=20)


def sent(stack: WholeStack, topic: str, events: list[dict[str, Any]]) -> None:
    done = stack.upshot("emit", topic, "-", text="\n".join(json.dumps(event) for event in events))
    assert done.returncode == 0, done.stderr


def at(days: float) -> str:
    return (BEGAN + timedelta(days=days)).isoformat()


def experiment(name: str) -> dict[str, Any]:
    return {
        "experiment": name,
        "variants": {"plain": 1, "warm": 1},
        "control": "plain",
        "unit": "user",
        "changed_at": at(-1),
        "planned_units": 400,
        "metrics": [
            {"name": f"{name}-solved", "window": "P7D"},
            {"name": "cost_usd", "kind": "mean", "role": "guardrail", "better": "lower", "margin": 0.5},
        ],
    }


def play(stack: WholeStack, name: str, per_arm: dict[str, tuple[int, int]]) -> None:
    """Users of each variant, so many of them with a success, all on the first day."""
    runs, steps, exposures, scores = [], [], [], []
    for variant, (users, successes) in per_arm.items():
        for number in range(users):
            run = f"{name}-{variant}-{number}"
            runs.append({"run_id": run, "agent": "support", "status": "completed", "started_at": at(0)})
            cost = 0.1 + 0.01 * (number % 3)
            steps.append(
                {
                    "run_id": run,
                    "step_id": "s",
                    "name": "draft",
                    "kind": "model",
                    "status": "ok",
                    "cost_usd": cost,
                }
            )
            exposures.append(
                {
                    "run_id": run,
                    "experiment": name,
                    "variant": variant,
                    "unit": f"u-{run}",
                    "exposed_at": at(0),
                }
            )
            scores.append(
                {"run_id": run, "name": f"{name}-solved", "value": number < successes, "decided_at": at(2)}
            )
    for topic, events in (("runs", runs), ("steps", steps), ("exposures", exposures), ("scores", scores)):
        sent(stack, topic, events)
    wanted = sum(users for users, _ in per_arm.values())
    for table in ("exposures", "runs", "steps", "scores"):
        stack.eventually(
            f"SELECT count() AS n FROM {table} WHERE startsWith(run_id, '{name}-')", [{"n": wanted}]
        )


def results(stack: WholeStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return stack.upshot("experiments", "results", *arguments)


@pytest.mark.stack
def test_results_of_a_registered_experiment(stack: WholeStack) -> None:
    sent(stack, "experiments", [experiment("tone")])
    play(stack, "tone", {"plain": (200, 80), "warm": (200, 120)})
    stack.eventually("SELECT count() AS n FROM experiments WHERE experiment = 'tone'", [{"n": 1}])
    done = results(stack, "tone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warm is better on tone-solved: +20.0 points" in done.stdout
    assert "upshot experiments ship tone warm" in done.stdout
    assert "cost_usd" in done.stdout and "shown to be safe" in done.stdout
    told = json.loads(results(stack, "tone", "--json").stdout)
    assert (told["state"], told["winner"]) == ("decided", "warm")
    [warm] = [arm for arm in told["metrics"][0]["variants"] if arm["variant"] == "warm"]
    assert (warm["exposed"], warm["compared"], warm["value"]) == (200, 200, 0.6)
    early = results(stack, "tone", "--as-of", at(5), "--json")
    assert early.returncode == 2 and "no experiment tone was known by" in early.stderr
    by = json.loads(results(stack, "tone", "--by", "tier", "--json").stdout)
    assert by["by"].keys() == {""}


@pytest.mark.stack
def test_a_mismatch_stops_with_a_code_of_its_own(stack: WholeStack) -> None:
    sent(stack, "experiments", [experiment("skewed")])
    play(stack, "skewed", {"plain": (260, 80), "warm": (120, 90)})
    stack.eventually("SELECT count() AS n FROM experiments WHERE experiment = 'skewed'", [{"n": 1}])
    done = results(stack, "skewed")
    assert done.returncode == 4
    assert "stopped: 260 to 120 where 1:1 was meant" in done.stdout


@pytest.mark.stack
def test_an_experiment_that_the_registry_lacks(stack: WholeStack) -> None:
    play(stack, "loose", {"a": (60, 30), "b": (60, 30)})
    done = results(stack, "loose", "--decide", "loose-solved:rate:P7D")
    assert done.returncode == 2
    assert "say which one the others are compared with" in done.stderr
    wanted = ("loose", "--control", "a", "--decide", "loose-solved:rate:P7D", "--json")
    done = results(stack, *wanted)
    assert done.returncode == 3, done.stderr
    told = json.loads(done.stdout)
    assert told["sample_ratio"] == [] and told["metrics"][0]["variants"][0]["compared"] == 60
    assert results(stack, "loose", "--control", "a").returncode == 2


@pytest.mark.stack
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing",), "no experiment nothing was known"),
        (("tone", "--as-of", "yesterday"), "--as-of is an instant"),
        (("tone", "--decide", "solved:sometimes"), "a metric is written"),
        (("tone", "--decide", "solved:rate:soon"), "a window is an ISO 8601 duration"),
        (("tone", "--guard", "cost_usd:mean"), "a guardrail has a margin"),
        (("tone", "--guard", "cost_usd:mean:+x%"), "a margin is written"),
    ],
)
def test_wrong_usage_says_what_to_write(stack: WholeStack, arguments: tuple[str, ...], says: str) -> None:
    done = results(stack, *arguments)
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr

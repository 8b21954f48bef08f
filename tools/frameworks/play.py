"""`python -m tools.frameworks.play CASE` runs a case and prints the recorded result as JSON."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from time import monotonic, sleep
from typing import Any

import upshot
from tools.frameworks.agents import CASES
from tools.frameworks.server import INPUT, OUTPUT, model_server
from upshot.testing import capture
from upshot.testing.capture import Captured

#: Seconds without a further step after which a case has ended, and the seconds for all of its steps.
_QUIET, _PATIENCE = 1.0, 30.0


def play(name: str) -> dict[str, object]:
    """The record of a case's run, beside the server's counts."""
    case = CASES[name]
    app = upshot.App("frameworks")
    with model_server() as server, capture(app) as sent:
        call = case.set_up(app, server.address)
        with app.run("agent"):
            call()
        steps = _settled(sent)
        models = [step for step in steps if step.get("kind") == "model"]
        return {
            "versions": {package: _version(package) for package in case.packages},
            "calls": server.calls,
            "input_tokens": sum(step.get("input_tokens") or 0 for step in steps),
            "output_tokens": sum(step.get("output_tokens") or 0 for step in steps),
            "expected": [server.calls * INPUT, server.calls * OUTPUT],
            "steps": len(steps),
            "model_steps": len(models),
            "models": sorted({str(step.get("model")) for step in models}),
            "providers": sorted({str(step.get("provider")) for step in models}),
            "cost_usd": sum(step.get("cost_usd") or 0.0 for step in steps),
            "content_in": sorted({key for step in steps for key in _leaks(step)}),
        }


def _settled(sent: Captured) -> list[dict[str, Any]]:
    """The steps, once there were no further steps for a while: some frameworks report from a thread later."""
    steps, since = sent.steps, monotonic()
    while not steps or monotonic() - since < _QUIET:
        sleep(0.05)
        if len(found := sent.steps) != len(steps):
            steps, since = found, monotonic()
        elif monotonic() - since > _PATIENCE:
            break
    return steps


def _leaks(step: dict[str, object]) -> list[str]:
    """The fields and attributes of a step holding content, though nobody asked to keep any."""
    fields = {key: value for key, value in step.items() if key != "attributes"}
    attributes = step.get("attributes")
    fields |= attributes if isinstance(attributes, dict) else {}
    return [key for key, value in fields.items() if "SECRET" in json.dumps(value)]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(play(sys.argv[1])) + "\n")

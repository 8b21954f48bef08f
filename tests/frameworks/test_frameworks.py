"""The most used frameworks with their instrumentations, each in a process of its own.

`make frameworks` runs all cases in an environment of their own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tools.frameworks.__main__ import trouble
from tools.frameworks.agents import CASES

MOST_USED = [
    "OpenAI client, OpenLLMetry",
    "LangChain, OpenInference for LangChain and the OpenAI client",
    "OpenAI Agents SDK, OpenInference",
    "pydantic-ai's own",
]


@pytest.mark.parametrize("name", MOST_USED)
def test_every_call_counts_once_and_no_content_is_kept(name: str) -> None:
    command = [sys.executable, "-m", "tools.frameworks.play", name]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    assert trouble(found) == ""
    assert found["cost_usd"] > 0
    assert all(model.startswith("gpt-4o-mini") for model in found["models"])


RIGHT: dict[str, Any] = {
    "calls": 1,
    "input_tokens": 1000,
    "output_tokens": 50,
    "expected": [1000, 50],
    "content_in": [],
}


@pytest.mark.parametrize(
    ("changed", "lack", "says"),
    [
        ({}, "", ""),
        ({"input_tokens": 2000, "output_tokens": 100}, "", "counted"),
        ({"content_in": ["llm.x"]}, "", "content in llm.x"),
        ({"calls": 0, "expected": [0, 0]}, "", "no call"),
        ({"input_tokens": 0, "output_tokens": 0}, "no tokens on its spans", ""),
        ({}, "no tokens on its spans", "counted"),
    ],
)
def test_the_faults_of_a_case(changed: dict[str, Any], lack: str, says: str) -> None:
    found = trouble(RIGHT | changed, lack)
    assert (says in found) if says else found == ""


def test_every_case_names_its_packages() -> None:
    assert all(case.packages and case.setup for case in CASES.values())

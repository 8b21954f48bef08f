"""The README's tour, step by step as it stands there, on a real stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from tests.upshot_process import WholeStack

README = Path(__file__).parents[2] / "README.md"
PATIENCE = 30.0
"""Seconds until an answer counts as missing: far above what it takes."""

pytestmark = pytest.mark.stack


def test_the_tour(stack: WholeStack) -> None:
    tour = README.read_text().split("\n## The contract in five minutes\n")[1].split("\n## ")[0]
    own = uuid4().hex
    tour = tour.replace("web#12", f"web#{own}").replace("r1", f"r-{own}")
    tour = tour.replace("127.0.0.1:9092", stack.settings.kafka_url)
    blocks = re.findall(r"^```(\w+)([^\n]*)\n(.*?)^```", tour, re.DOTALL | re.MULTILINE)
    answers = 0
    for number, (language, mark, text) in enumerate(blocks):
        following = blocks[number + 1] if number + 1 < len(blocks) else ("", "", "")
        if language == "python":
            run(stack, [sys.executable, "-c", text])
        elif language == "sh" and not mark and "activate" not in text:
            run(stack, ["bash", "-ec", text])
            if following[0] == "text":
                expect(stack, text.strip().splitlines()[-1], following[2].strip().splitlines()[-1])
                answers += 1
    assert answers == 2


def run(stack: WholeStack, command: Sequence[str]) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "UPSHOT_DATA_DIR": str(stack.data_dir)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def expect(stack: WholeStack, command: str, row: str) -> None:
    """The command prints the row before long, whatever its instants and widths."""
    deadline = time.monotonic() + PATIENCE
    while plain(row) not in (
        printed := [plain(line) for line in run(stack, ["bash", "-ec", command]).splitlines()]
    ):
        assert time.monotonic() < deadline, f"{plain(row)} is not in {printed}"


def plain(line: str) -> str:
    return " ".join(re.sub(r"\d{4}-\d\d-\d\d [\d:.]+", "TIME", line).split())

"""A small run of the crash test: every part is killed at random, nothing is lost, double or wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).parents[2] / "benchmarks" / "crash"


@pytest.mark.stack
def test_kills_change_nothing() -> None:
    command = [sys.executable, str(CRASH), "--kills", "10", "--cases", "300", "--rate", "50", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "10 kills" in done.stdout
    assert "0 lost, 0 wrong, 0 double, 0 invented, 0 repeated, 0 unsettled" in done.stdout

"""Waiting for what happens in other processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

PATIENCE = 60.0
"""Seconds until a condition counts as never met: far above what it takes."""

Until = Callable[[Callable[[], object]], None]
Gone = Callable[[int], bool]


@pytest.fixture
def until() -> Until:
    """Returns once the condition holds."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.02)

    return wait


@pytest.fixture
def gone() -> Gone:
    """Whether a process has ended; one that nobody reaped yet counts as ended."""

    def ask(pid: int) -> bool:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        return not state.strip() or state.startswith("Z")

    return ask

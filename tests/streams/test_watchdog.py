"""A process whose event loop stands still ends, whatever holds it."""

from __future__ import annotations

import subprocess
import sys

import pytest

STUCK = """
import asyncio, re, sys, time
from upshot.streams.runtime.watchdog import watched

async def work():
    async with watched(1.0):
        await asyncio.sleep(0.3)
        {stuck}

asyncio.run(work())
print("went on")
"""


@pytest.mark.parametrize(
    "stuck",
    [
        "while True: pass",
        "time.sleep(600)",
        # It never gives up the interpreter.
        "re.match(r'(a|a)*b', 'a' * 80)",
    ],
)
def test_a_loop_that_stands_still_ends_the_process(stuck: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK.format(stuck=stuck)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Timeout (0:00:01)!" in done.stderr and "in work" in done.stderr
    assert "went on" not in done.stdout


def test_one_that_turns_goes_on() -> None:
    turns = "await asyncio.sleep(2.5)"
    done = subprocess.run(
        [sys.executable, "-c", STUCK.format(stuck=turns)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")

"""What people see on a terminal and what programs get."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.upshot_process import ANSWER, clean_environment
from upshot.cli.terminal import cell, plain

WIDE = """
from upshot.cli.terminal import say_table
say_table(["name", "count"], [["a", 1], ["b", 22]], title="Two", bold_last=True)
say_table([f"column{n}" for n in range(9)], [["x" * 30] * 9], title="Wide")
say_table(["a", "b"], [["y" * 200, 1]])
"""


def on_a_terminal(code: str, **environment: str) -> str:
    """The output of some Python on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={**clean_environment(), "COLUMNS": "80", "LINES": "40", "TERM": "xterm", **environment},
    )
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], ANSWER)[0]:
        try:
            block = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not block:
            break
        said += block
    os.close(ours)
    assert process.wait(ANSWER) == 0, said
    return said.decode().replace("\r\n", "\n")


def test_tables_on_a_terminal() -> None:
    said = on_a_terminal(WIDE)
    two, wide = said.split("Wide", 1)
    assert "─" in two
    assert "row 1" in wide
    assert wide.count("x" * 30) == 9, "a value of a wide row is cut or folded"
    assert wide.count("y") == 200
    assert "\x1b[" not in said, "NO_COLOR is set"


def test_colours_only_where_they_are_wanted() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    coloured = on_a_terminal(WIDE, NO_COLOR="")
    assert "\x1b[" in coloured
    piped = subprocess.run(
        [sys.executable, "-c", WIDE], capture_output=True, text=True, env=environment, check=True
    )
    assert "\x1b[" not in piped.stdout
    assert "y" * 200 in piped.stdout
    assert [line.split() for line in piped.stdout.splitlines()[:4]] == [
        ["Two"],
        ["name", "count"],
        ["a", "1"],
        ["b", "22"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (1.0, "1"),
        (0.1, "0.1"),
        (123456.789, "123456.789"),
        (1e300, "1e+300"),
        ([1, "ä"], '[1, "ä"]'),
        (datetime(2026, 1, 2, 3, 4, 5, 6000, UTC), "2026-01-02 03:04:05.006"),
        ("a\nb\x1b[31m\u202e", "a\\nb\\x1b[31m\\u202e"),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    assert cell(value) == text


def test_ordinary_text_stays() -> None:
    assert plain("naïve 日本語 🙂") == "naïve 日本語 🙂"

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


STEERS = "\x1b[31mRED\x1b]0;TITLE\x07\x9b31m\u202egnp"
HARMLESS = r"""
from upshot.cli.terminal import harmless, say_json, say_table
text = %r
say_table(["a"], [[text], ["x" * 5000]], title=text)
say_json({text: text})
import sys
for piece in harmless([f'"{text}"\n'.encode()[:9], f'"{text}"\n'.encode()[9:]], is_json=False):
    sys.stdout.buffer.write(piece)
"""


def test_nothing_steers_a_terminal() -> None:
    said = on_a_terminal(HARMLESS % STEERS, NO_COLOR="1")
    assert not [c for c in said if not c.isprintable() and c != "\n"]
    assert said.count("TITLE") == 5 and said.count("\\u202e") == 5
    assert "(5,000characters;--formatjsonlhasall)" in "".join(said.split())
    assert said.count("x") < 3_000


def test_an_error_steers_no_terminal() -> None:
    code = f"""
import sys, typer
from upshot.cli import app as cli
from upshot.errors import QueryFailed
@cli.app.command()
def fails():
    raise QueryFailed({STEERS!r} + "\\nsecond line")
sys.argv = ["upshot", "fails"]
try:
    cli.app()
except SystemExit:
    pass
"""
    said = on_a_terminal(code)
    assert not [c for c in said if not c.isprintable() and c != "\n"]
    assert "TITLE" in said and "\nsecond line\n" in said


def test_one_long_cell_does_not_fill_up_the_others() -> None:
    code = """
from upshot.cli.terminal import say_table
say_table(["payload", "n"], [["y" * 100_000, 1], *(["z", n] for n in range(1000))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean_environment()
    )
    assert "y" * 100_000 in done.stdout, "a program gets all"
    assert len(done.stdout) < 500_000, done.stderr

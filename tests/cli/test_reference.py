"""The page about the commands, and each command's help, are what the code says."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.reference.commands import commands_page
from upshot.cli.app import EXAMPLES, app
from upshot.cli.exits import MEANINGS, Exit

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), "write it anew: make docs"


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_command_helps_with_an_example(name: str) -> None:
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"TERMINAL_WIDTH": "400", "COLUMNS": "400"})
    assert done.exit_code == 0
    assert EXAMPLES[name]
    for example in EXAMPLES[name]:
        assert example in done.stdout
        assert f"upshot {name}" in example


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_paragraph_of_a_help_is_broken_by_the_terminal_alone(name: str) -> None:
    """A line break of the source would leave half a line empty on 80 columns."""
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"TERMINAL_WIDTH": "80", "COLUMNS": "80"})
    prose = done.stdout.partition("Usage:")[2].partition("╭")[0]
    for paragraph in re.split(r"\n\s*\n", prose.rstrip())[1:]:
        for line, below in pairwise(line.split() for line in paragraph.splitlines()):
            assert len(" ".join([*line, below[0]])) > 78, (line, below)


def test_exit_codes_are_explained() -> None:
    assert set(MEANINGS) == set(Exit)


def test_the_command_alone_lists_the_commands() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert all(name.split()[0] in done.output for name in EXAMPLES)


def test_the_version() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout.split()[0]) == (0, "upshot")

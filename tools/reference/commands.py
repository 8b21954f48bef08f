"""The page about the commands, written from the commands themselves.

`python -m tools.reference.commands [--check] FILE` writes it, or exits with 1 where it is out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from textwrap import fill
from typing import Any

import typer

from tools.reference.markdown import code, page, table
from upshot.cli.app import EXAMPLES, app
from upshot.cli.exits import MEANINGS


def commands_page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="upshot")
    commands = _commands(group, context)
    return page(
        "The command `upshot`",
        "Every command prints its result to stdout and its progress to stderr, takes `--help`, and ends with "
        "an exit code that says what happened. `--data-dir DIR` finds the stack that `upshot up` runs in a "
        "folder; without it the addresses come from the `UPSHOT_*` variables (see "
        "[settings](reference/settings.md)), else from the stack in `.upshot`. Output that goes to a file or "
        "a program has no colours, and no table is cut.",
        table(
            ("Command", "What it does"),
            [
                (f"[`upshot {name}`](#upshot-{name.replace(' ', '-')})", _first_line(command.help))
                for name, command in commands.items()
            ],
        ),
        "## Exit codes",
        table(("Code", "Meaning"), [(str(int(exit_)), text) for exit_, text in MEANINGS.items()]),
        *(_command(name, command) for name, command in commands.items()),
    )


def _commands(group: Any, context: Any, before: str = "") -> dict[str, Any]:
    """Every command by its words, those of a group after one another."""
    found: dict[str, Any] = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = f"{before}{name}"
        found |= (
            _commands(command, context, f"{words} ") if hasattr(command, "commands") else {words: command}
        )
    return found


def _command(name: str, command: Any) -> str:
    parts = [f"## upshot {name}", *map(_lines, (command.help or "").strip().split("\n\n"))]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join(["upshot", name, "[OPTIONS]", *(_argument(p) for p in arguments)])
    parts.append(code(usage, "text"))
    if arguments:
        meanings = [(f"`{_argument(p)}`", p.help or "") for p in arguments]
        parts.append(table(("Argument", "Meaning"), meanings))
    rows = [(_names(p), p.help or "", _default(p)) for p in options if p.name != "help"]
    parts.append(table(("Option", "Meaning", "Default"), rows))
    parts.append(code("\n".join(EXAMPLES[name]), "sh"))
    return "\n\n".join(parts)


def _lines(paragraph: str) -> str:
    return fill(paragraph, 110, break_long_words=False, break_on_hyphens=False)


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]


def _argument(parameter: Any) -> str:
    return str(parameter.metavar) if parameter.required else f"[{parameter.metavar}]"


def _names(parameter: Any) -> str:
    names = "`, `".join([*parameter.opts, *parameter.secondary_opts])
    takes_value = not getattr(parameter, "is_flag", False)
    return f"`{names} {_value(parameter)}`" if takes_value else f"`{names}`"


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.display_type(None).strip("<>"))


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return str(parameter.show_default)
    if getattr(parameter, "is_flag", False):
        return f"`{parameter.opts[0]}`" if parameter.default else ""
    return "" if parameter.default in (None, ()) else f"`{parameter.default}`"


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference.commands", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("file", type=Path, help="the page, docs/commands.md")
    options = parser.parse_args()
    if not options.check:
        options.file.write_text(commands_page(), encoding="utf-8")
        return 0
    if options.file.exists() and options.file.read_text(encoding="utf-8") == commands_page():
        return 0
    sys.stderr.write(f"out of date: {options.file}; write it with  make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["commands_page"]

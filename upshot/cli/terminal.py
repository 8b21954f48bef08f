"""Output for people: results on stdout, progress on stderr; nothing can steer the terminal.

A file or a program gets every cell whole; a terminal gets the beginning of a very long cell.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import IO, Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from upshot.plain_text import plain, plain_json

#: Wider than any row: a table that goes to a file or a program is not folded.
_UNFOLDED = 100_000
#: Columns are aligned up to this width: a longer cell shifts its own line instead of filling up all others.
_ALIGNED = 200
#: Characters of a cell shown on a terminal: nobody reads more there.
_LONGEST_CELL = 2_000
#: A table of more columns than this that doesn't fit the terminal is shown row by row.
_FOLDED_COLUMNS = 6


def _console(stream: IO[str]) -> Console:
    width = None if stream.isatty() else _UNFOLDED
    # NO_COLOR alone would leave bold and dim.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=stream, width=width, color_system=colours, highlight=False, markup=False, emoji=False)


def results() -> Console:
    """stdout. Made anew each time, since tests and callers replace the stream."""
    return _console(sys.stdout)


def notes() -> Console:
    """stderr."""
    return _console(sys.stderr)


def note(line: str, style: str = "") -> None:
    """Print progress for people."""
    notes().print(Text(plain(line), style=style), soft_wrap=True)


def say(line: str = "", style: str = "") -> None:
    """Print a line of the result."""
    results().print(Text(plain(line), style=style), soft_wrap=True)


def say_json(value: Any) -> None:
    """Print the result for a program."""
    sys.stdout.write(plain_json(json.dumps(value, ensure_ascii=False, default=_text, indent=2)) + "\n")


def say_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    bold_last: bool = False,
    empty: str = "",
) -> None:
    """Print rows under their columns; numbers to the right. `empty` is printed where there are no rows."""
    longest = _LONGEST_CELL if results().is_terminal else None
    cells = [[_cut(cell(value), longest) for value in row] for row in rows]
    right = [_is_number(values) for values in zip(*cells, strict=True)] if cells else [False] * len(columns)
    console = results()
    if title:
        say(title, style="bold")
    if not cells and empty:
        say(empty, style="dim")
        return
    if not console.is_terminal:
        _say_plain(columns, cells, right)
        return
    if _width(columns, cells) > console.width and len(columns) > _FOLDED_COLUMNS:
        _say_records(columns, cells)
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name, to_the_right in zip(columns, right, strict=True):
        table.add_column(Text(plain(name)), justify="right" if to_the_right else "left", overflow="fold")
    for number, row in enumerate(cells):
        last = bold_last and number == len(cells) - 1
        table.add_row(*(Text(value) for value in row), style="bold" if last else None)
    console.print(table)


def _say_plain(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Aligned columns without rules, two blanks apart, for files and programs."""
    lines = [[plain(name) for name in columns], *rows]
    widths = [min(_ALIGNED, max(len(line[at]) for line in lines)) for at in range(len(columns))]
    for line in lines:
        cells = [
            value.rjust(width) if to_the_right else value.ljust(width)
            for value, width, to_the_right in zip(line, widths, right, strict=True)
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Of the table with nothing folded."""
    lines = [columns, *rows]
    return sum(max(len(line[at]) for line in lines) + 3 for at in range(len(columns)))


def _say_records(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A line for each value: a row far wider than the terminal can't be read as a single line."""
    longest = max(len(name) for name in columns)
    for number, row in enumerate(rows, 1):
        say(f"row {number}", style="bold")
        for name, value in zip(columns, row, strict=True):
            results().print(Text(f"  {plain(name):<{longest}}  ", style="dim") + Text(value), soft_wrap=True)


def cell(value: Any) -> str:
    """A value as a single line of text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return plain(_text(value))


def _cut(text: str, longest: int | None) -> str:
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text):,} characters; --format jsonl has all)"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)


def _is_number(values: Sequence[str]) -> bool:
    present = [value for value in values if value]
    return bool(present) and all(_reads_as_number(value) for value in present)


def _reads_as_number(value: str) -> bool:
    try:
        float(value.removesuffix("%").replace(",", ""))
    except ValueError:
        return False
    return True


def harmless(blocks: Iterable[bytes], *, is_json: bool) -> Iterator[bytes]:
    """Text on its way to a terminal, block by block, without anything that could steer a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for block in blocks:
        text = decoder.decode(block)
        yield (plain_json(text) if is_json else plain(text, keep="\n")).encode()
    yield decoder.decode(b"", final=True).encode()


__all__ = ["cell", "harmless", "note", "notes", "plain", "results", "say", "say_json", "say_table"]

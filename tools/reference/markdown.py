"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Opens every page.
NOTE = "<!-- Written by `make docs` from the code; `make check` compares. Don't edit. -->"


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([NOTE, f"# {title}", *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line breaks in cells are made harmless."""
    lines = [_row(heads), _row(["---"] * len(heads)), *(_row([_cell(text) for text in row]) for row in rows)]
    return "\n".join(lines)


def code(text: str, language: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


__all__ = ["NOTE", "code", "page", "table"]

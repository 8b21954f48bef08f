"""What exists, for a query that names something else: views, columns, parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches

from upshot.errors import ConfigurationError

#: ClickHouse's numbers of errors.
NO_COLUMN, NO_TABLE, NO_PARAMETER = 47, 60, 456

_SOURCES = re.compile(r"\b(?:FROM|JOIN)\s++`?+(\w++)", re.IGNORECASE)
_PARAMETERS = re.compile(r"\{\s*+(\w++)\s*+:\s*+([^{}]++)\}")
_QUOTED = re.compile(r"[`']([\w.]++)[`']")
_MOST = 60

#: Rows of a query with these parameters.
Ask = Callable[[str, Mapping[str, object]], list[list[str]]]

_VIEWS = """\
SELECT table_name FROM information_schema.tables
WHERE table_schema = currentDatabase() AND table_name NOT LIKE 'raw\\_%' AND table_name NOT LIKE 'exact\\_%'
ORDER BY table_name"""
_COLUMNS = """\
SELECT DISTINCT column_name FROM information_schema.columns
WHERE table_schema = currentDatabase() AND has({tables:Array(String)}, table_name) ORDER BY column_name"""


def what_exists(code: int, message: str, sql: str, ask: Ask) -> str:
    """A sentence about existing names, for ClickHouse's error with this number; empty where it has none."""
    if code == NO_TABLE:
        return _listed("views", message, [row[0] for row in ask(_VIEWS, {})])
    if code == NO_COLUMN and (sources := sorted(set(_SOURCES.findall(sql)))):
        tables = "[" + ",".join(f"'{name}'" for name in sources) + "]"
        columns = [row[0] for row in ask(_COLUMNS, {"tables": tables})]
        return _listed(f"columns of {', '.join(sources)}", message, columns)
    return f"the query's parameters: {parameters_text(sql)}" if code == NO_PARAMETER else ""


def _listed(kind: str, message: str, names: list[str]) -> str:
    if not names:
        return ""
    near = [one for word in _QUOTED.findall(message) for one in nearest(word.rpartition(".")[2], names)]
    hint = f"perhaps {' or '.join(dict.fromkeys(near))}; " if near else ""
    return f"{hint}{kind}: {', '.join(names[:_MOST])}{' …' if len(names) > _MOST else ''}"


def nearest(word: str, names: Collection[str]) -> list[str]:
    """The names spelled like `word`, the likeliest first."""
    return get_close_matches(word, names, n=2, cutoff=0.6)


def parameters_of(sql: str) -> dict[str, str]:
    """The types of a query's parameters `{name:Type}` by their names."""
    return {name: kind.strip() for name, kind in _PARAMETERS.findall(sql)}


def parameters_text(sql: str) -> str:
    """A query's parameters, for people."""
    return ", ".join(f"{name} ({kind})" for name, kind in parameters_of(sql).items()) or "none"


def check_parameters(about: str, sql: str, given: Collection[str]) -> None:
    """Raise ConfigurationError for parameters that the SQL doesn't have: they would change nothing."""
    known = parameters_of(sql)
    if unknown := [name for name in given if name not in known]:
        near = [one for name in unknown for one in nearest(name, known)]
        hint = f" (perhaps {' or '.join(near)})" if near else ""
        raise ConfigurationError(
            f"{about} has no parameter {', '.join(unknown)}{hint}; its parameters: {parameters_text(sql)}; "
            "no query was run"
        )


__all__ = [
    "NO_COLUMN",
    "NO_PARAMETER",
    "NO_TABLE",
    "check_parameters",
    "nearest",
    "parameters_of",
    "parameters_text",
    "what_exists",
]

"""`upshot query`: queries ClickHouse, by SQL or by the name of a named query."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import harmless, say_json, say_table
from upshot.errors import ConfigurationError
from upshot.insights.questions import QUESTIONS
from upshot.insights.reader import Format, QueryResult, Reader
from upshot.settings import local_viewer

QUERY_EXAMPLES = (
    'upshot query "SELECT agent, count(), avg(value) FROM current_scores GROUP BY agent"',
    "upshot query --question scores-by-attribute --param attribute=task_type",
    "upshot query --format arrow - < report.sql > report.arrow",
)
NO_ROWS = "no rows"


def query(
    sql: Annotated[str | None, typer.Argument(help="The SQL; - reads it from stdin.", metavar="SQL")] = None,
    query_name: Annotated[
        str | None, typer.Option("--question", help="Run this named query instead.", metavar="NAME")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--param", metavar="NAME=VALUE", help="Value of a query parameter `{name:Type}`; repeatable."
        ),
    ] = None,
    shape: Annotated[Format, typer.Option("--format", help="How the answer is written.")] = "table",
    list_questions: Annotated[bool, typer.Option("--list", help="List the named queries.")] = False,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help=(
                "Leave text in CSV unchanged. Otherwise ' stands before text that a spreadsheet would "
                "take for a formula."
            ),
        ),
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Ask ClickHouse and print the answer; nothing can be changed this way.

    Views, among others: runs, steps, outcomes, exposures, waits, pending, pending_followups, scores,
    current_scores, score_kinds, deferrals, current_followups, alerts, dead_letters.

    A table holds answers of up to 64 MiB; the other formats are printed as they come, whatever their length.
    """
    shape = "json" if as_json else shape
    if list_questions:
        _list(shape)
        return
    if (sql is None) == (query_name is None):
        raise ConfigurationError("no query was run: give either SQL (or -) or --question NAME (see --list)")
    parameters = _parameters(parameter or [])
    if query_name is not None:
        text, parameters = _named(query_name, parameters)
    else:
        text = sys.stdin.read() if sql == "-" else sql or ""
    reader = Reader(local_viewer(client_settings(data_dir)))
    if shape == "table":
        _say_answer(reader.query(text, parameters))
    else:
        _write(reader, text, shape, parameters, exact=exact)


def _named(name: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The SQL of a named query, and its parameters with the given values."""
    if name not in QUESTIONS:
        raise ConfigurationError(
            f"there is no named query {name!r}; no query was run: `upshot query --list` lists them"
        )
    named = QUESTIONS[name]
    _check_names(named.parameters, given)
    return named.sql, {**named.parameters, **given}


def _say_answer(answer: QueryResult) -> None:
    names = [column.name for column in answer.columns]
    if names:
        say_table(names, answer.rows, empty=NO_ROWS)


def _write(reader: Reader, text: str, shape: Format, parameters: dict[str, str], *, exact: bool) -> None:
    """Write the answer to stdout while rows arrive."""
    if shape == "arrow" and sys.stdout.isatty():
        raise ConfigurationError("an Arrow stream is no text for a terminal: redirect it (> FILE)")
    blocks = reader.stream(text, shape, parameters, exact=exact)
    if sys.stdout.isatty():
        blocks = harmless(blocks, is_json=shape in ("json", "jsonl"))
    for block in blocks:
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _list(shape: Format) -> None:
    rows = [(asked.name, ", ".join(asked.parameters), asked.about) for asked in QUESTIONS.values()]
    if shape == "json":
        say_json(
            [
                {
                    "name": asked.name,
                    "about": asked.about,
                    "parameters": dict(asked.parameters),
                    "sql": asked.sql,
                }
                for asked in QUESTIONS.values()
            ]
        )
    else:
        say_table(("question", "parameters", "answers"), rows)


def _parameters(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--param {pair} is not NAME=VALUE; no query was run")
        found[name] = value
    return found


def _check_names(known: Collection[str], given: Collection[str]) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigurationError(f"this named query has no parameter {', '.join(unknown)}; no query was run")


__all__ = ["NO_ROWS", "QUERY_EXAMPLES", "query"]

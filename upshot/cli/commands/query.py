"""`upshot query`: queries ClickHouse, by SQL or by the name of a named query."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.query_progress import shown_progress
from upshot.cli.terminal import harmless, say_json, say_table
from upshot.errors import ConfigurationError
from upshot.insights.known_names import check_parameters
from upshot.insights.limits import MEMORY_BYTES, SECONDS, QueryLimits
from upshot.insights.named_queries import NAMED_QUERIES, named_query
from upshot.insights.reader import Format, QueryResult, Reader
from upshot.settings import local_viewer

QUERY_EXAMPLES = (
    'upshot query "SELECT agent, count(), avg(value) FROM current_scores GROUP BY agent"',
    "upshot query --question scores-by-attribute --param attribute=task_type",
    "upshot query --named best-model-by-segment --param attribute=customer --param name=merged",
    "upshot query --format parquet - < report.sql > report.parquet",
)
NO_ROWS = "no rows"


def query(
    sql: Annotated[str | None, typer.Argument(help="The SQL; - reads it from stdin.", metavar="SQL")] = None,
    query_name: Annotated[
        str | None,
        typer.Option("--named", "--question", help="Run this named query instead.", metavar="NAME"),
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
    seconds: Annotated[
        float, typer.Option("--time-limit", metavar="SECONDS", help="The query is stopped after this time.")
    ] = SECONDS,
    memory: Annotated[
        int,
        typer.Option(
            "--memory-limit",
            metavar="MIB",
            help="The query is stopped where it takes more memory.",
        ),
    ] = MEMORY_BYTES >> 20,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Ask ClickHouse and print the answer; nothing can be changed this way.

    Views, among others: runs, steps, outcomes, exposures, waits, pending, pending_followups, scores,
    current_scores, score_kinds, deferrals, current_followups, alerts, dead_letters.

    For many runs without joins: scored_runs, score_rows, exposure_rows, open_waits.

    A table holds answers of up to 64 MiB; the other formats are printed as they come, whatever their length.
    A terminal shows how far the query is; Ctrl-C cancels the query in ClickHouse, too.
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
        check_parameters("the query", text, parameters)
    with shown_progress(alone=shape == "table" or not sys.stdout.isatty()) as listener:
        reader = Reader(
            local_viewer(client_settings(data_dir)),
            limits=QueryLimits(seconds, memory << 20),
            listener=listener,
        )
        answer = reader.query(text, parameters) if shape == "table" else None
        if answer is None:
            _write(reader, text, shape, parameters, exact=exact)
    if answer is not None:
        _say_answer(answer)


def _named(name: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The SQL of a named query, and its parameters with the given values."""
    named = named_query(name)
    check_parameters(f"the named query {name}", named.sql, given)
    return named.sql, {**named.parameters, **given}


def _say_answer(answer: QueryResult) -> None:
    names = [column.name for column in answer.columns]
    if names:
        say_table(names, answer.rows, empty=NO_ROWS)


def _write(reader: Reader, text: str, shape: Format, parameters: dict[str, str], *, exact: bool) -> None:
    """Write the answer to stdout while rows arrive."""
    if shape in ("arrow", "parquet") and sys.stdout.isatty():
        raise ConfigurationError(f"{shape} is no text for a terminal: redirect it (> FILE)")
    blocks = reader.stream(text, shape, parameters, exact=exact)
    if sys.stdout.isatty():
        blocks = harmless(blocks, is_json=shape in ("json", "jsonl"))
    for block in blocks:
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


def _list(shape: Format) -> None:
    rows = [(asked.name, ", ".join(asked.parameters), asked.about) for asked in NAMED_QUERIES.values()]
    if shape == "json":
        say_json(
            [
                {
                    "name": asked.name,
                    "about": asked.about,
                    "parameters": dict(asked.parameters),
                    "sql": asked.sql,
                }
                for asked in NAMED_QUERIES.values()
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


__all__ = ["NO_ROWS", "QUERY_EXAMPLES", "query"]

"""`upshot pending`: what is still to be answered: open waits, and follow-ups that are not done."""

from __future__ import annotations

from typing import Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say_json, say_table
from upshot.insights.questions import ALL_PENDING
from upshot.insights.reader import Reader
from upshot.schemas.subjects import folded
from upshot.settings import local_viewer

PENDING_EXAMPLES = (
    "upshot pending",
    "upshot pending --overdue --json",
    "upshot pending --subject pr:acme/web#12",
)

_WHERE = f"""\
FROM
(
{ALL_PENDING}
)
WHERE ({{subject:String}} = '' OR subject IN ({{subject:String}}, {{joined:String}})) AND (overdue OR NOT {{overdue:Bool}})"""


def pending(
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only those whose deadline has passed without an answer.")
    ] = False,
    subject: Annotated[str | None, typer.Option(help="Only those about this subject.", metavar="S")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at the most.", metavar="N")] = 100,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List open waits and follow-ups that are not done, the next deadline first."""
    reader = Reader(local_viewer(client_settings(data_dir)))
    chosen = {
        "subject": subject or "",
        "joined": folded(subject or ""),
        "overdue": "true" if overdue else "false",
    }
    answer = reader.query(
        "SELECT deadline, overdue, name, agent, subject, run_id, wait_id, mode, opened_at\n"
        f"{_WHERE}\nORDER BY deadline NULLS LAST, subject, wait_id\nLIMIT {limit}",
        chosen,
    )
    if as_json:
        say_json(answer.objects())
        return
    hidden = {"wait_id", "opened_at", "mode"}
    shown = [at for at, column in enumerate(answer.columns) if column.name not in hidden]
    rows = [[row[at] for at in shown] for row in answer.rows]
    say_table([answer.columns[at].name for at in shown], rows, empty="nothing is pending")
    if len(rows) == limit:
        [[total]] = reader.query(f"SELECT count() {_WHERE}", chosen).rows
        if int(total) > limit:
            note(f"{int(total):,} in all; --limit shows more")
    elif rows:
        note(f"{len(rows):,} pending")


__all__ = ["PENDING_EXAMPLES", "pending"]

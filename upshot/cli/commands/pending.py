"""`upshot pending`: lists open waits and unfinished follow-ups, and cancels unneeded waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.errors import ConfigurationError
from upshot.insights.named_queries import ALL_PENDING
from upshot.insights.reader import QueryResult, Reader
from upshot.schemas.subjects import folded
from upshot.settings import Settings, local_viewer

PENDING_EXAMPLES = (
    "upshot pending",
    "upshot pending --overdue --json",
    "upshot pending --subject pr:acme/web#12",
    "upshot pending cancel 5d41402abc4b2a76b9719d911017c592",
    "upshot pending cancel 5d41402abc4b2a76b9719d911017c592 --subject pr:acme/web#12",
)

_WHERE = f"""\
FROM
(
{ALL_PENDING}
)
WHERE ({{subject:String}} = '' OR subject IN ({{subject:String}}, {{joined:String}}))
    AND (overdue OR NOT {{overdue:Bool}})"""


def pending(
    action: Annotated[
        Literal["cancel"] | None,
        typer.Argument(
            help="`cancel` ends waits that nobody needs any more; without an action waits are listed.",
            metavar="ACTION",
        ),
    ] = None,
    ids: Annotated[list[str] | None, typer.Argument(help="The waits to be cancelled.", metavar="ID…")] = None,
    overdue: Annotated[
        bool, typer.Option("--overdue", help="Only waits whose deadline has passed without an answer.")
    ] = False,
    subject: Annotated[str | None, typer.Option(help="Only waits about this subject.", metavar="S")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at the most.", metavar="N")] = 100,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List open waits and follow-ups that are not done, the next deadline first, or cancel some waits.

    A cancelled wait ends without a score; a score decided before stays. With --subject an unknown wait can be
    cancelled ahead of its arrival.
    """
    settings = client_settings(data_dir)
    if action == "cancel":
        _cancel(settings, ids or [], subject, as_json=as_json)
        return
    reader = Reader(local_viewer(settings))
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
    _say_answer(answer)
    if len(answer.rows) == limit:
        [[total]] = reader.query(f"SELECT count() {_WHERE}", chosen).rows
        if int(total) > limit:
            note(f"{int(total):,} in all; --limit shows more")
    elif answer.rows:
        note(f"{len(answer.rows):,} pending")


def _say_answer(answer: QueryResult) -> None:
    """Print the waits without the columns for programs."""
    hidden = {"wait_id", "opened_at", "mode"}
    shown = [at for at, column in enumerate(answer.columns) if column.name not in hidden]
    rows = [[row[at] for at in shown] for row in answer.rows]
    say_table([answer.columns[at].name for at in shown], rows, empty="nothing is pending")


def _cancel(settings: Settings, ids: list[str], subject: str | None, *, as_json: bool) -> None:
    from upshot.cli.sending import send_events
    from upshot.schemas.withdrawals import WaitCancellation
    from upshot.streams.events.outgoing import outgoing
    from upshot.streams.events.topics import TOPICS

    if not ids:
        raise ConfigurationError("say which: upshot pending cancel ID…; nothing was done")
    topic, now = TOPICS["waits"], datetime.now(UTC)
    waits = [(one, subject) for one in ids] if subject else _subjects(Reader(local_viewer(settings)), ids)
    wanted = [WaitCancellation(wait_id=one, subject=about, cancelled_at=now) for one, about in waits]
    asyncio.run(send_events(settings, topic, [outgoing(topic.name, one.subject, one) for one in wanted]))
    cancelled: list[dict[str, Any]] = [{"wait_id": one.wait_id, "subject": one.subject} for one in wanted]
    if as_json:
        say_json({"topic": settings.topic(topic.name), "cancelled": cancelled})
    else:
        say(f"{len(cancelled):,} cancelled; scores decided before stay")


def _subjects(reader: Reader, ids: list[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for ident in ids:
        rows = reader.query(
            "SELECT subject FROM pending WHERE wait_id = {wait_id:String}", {"wait_id": ident}
        ).rows
        if not rows:
            raise ConfigurationError(
                f"no wait {ident} is pending; nothing was done: see upshot pending, or give --subject to "
                "cancel an unknown wait"
            )
        found += [(ident, str(about)) for (about,) in rows]
    return found


__all__ = ["PENDING_EXAMPLES", "pending"]

"""`upshot followups`: lists deferred work with its state, and has failed work tried again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.errors import ConfigurationError
from upshot.insights.reader import Reader
from upshot.schemas.followups import Standing
from upshot.settings import Settings, local_viewer

FOLLOWUPS_EXAMPLES = (
    "upshot followups",
    "upshot followups --status failed --json",
    "upshot followups retry 5d41402abc4b2a76b9719d911017c592",
    "upshot followups retry --all-failed",
)

_COLUMNS = (
    "followup_id, scorer, version, run_id, status, waiting_for, attempts, error, changed_at, deferred_at, "
    "step_id, agent"
)
#: What a table leaves to `--json`.
_HIDDEN = {"changed_at", "deferred_at", "step_id", "agent"}
_WHERE = "FROM current_followups WHERE {status:String} IN ('', status)"
#: Characters of an error in a table.
_SHOWN = 80


def followups(
    action: Annotated[
        Literal["retry"] | None,
        typer.Argument(
            help="`retry` has failed follow-ups tried again; without an action follow-ups are listed.",
            metavar="ACTION",
        ),
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Argument(help="The follow-ups to be tried again.", metavar="ID…")
    ] = None,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="With `retry`: all failed follow-ups.")
    ] = False,
    status: Annotated[Standing | None, typer.Option(help="Only follow-ups of this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at the most.", metavar="N")] = 100,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List follow-ups, or have failed ones tried again.

    Failed follow-ups and follow-ups without deployed code come first, then the latest. A retry goes on with
    the recorded results of steps; mend and deploy the code first.
    """
    settings = client_settings(data_dir)
    if action == "retry":
        _retry(settings, _chosen(settings, ids or [], all_failed=all_failed), as_json=as_json)
    elif all_failed:
        raise ConfigurationError(
            "--all-failed goes with retry: upshot followups retry --all-failed; nothing was done"
        )
    else:
        _list(Reader(local_viewer(settings)), status or "", limit, as_json=as_json)


def _list(reader: Reader, status: str, limit: int, *, as_json: bool) -> None:
    answer = reader.query(
        f"SELECT {_COLUMNS}\n{_WHERE}\n"
        "ORDER BY indexOf(['failed', 'undeployed'], status) = 0, changed_at DESC, followup_id\n"
        f"LIMIT {limit}",
        {"status": status},
    )
    if as_json:
        say_json(answer.objects())
        return
    shown = [column.name for column in answer.columns if column.name not in _HIDDEN]
    rows = [[_shown(name, found[name]) for name in shown] for found in answer.objects()]
    say_table(shown, rows, empty="there are no follow-ups")
    if len(rows) == limit:
        [[total]] = reader.query(f"SELECT count() {_WHERE}", {"status": status}).rows
        if int(total) > limit:
            note(f"{int(total):,} in all; --limit shows more")


def _shown(name: str, value: Any) -> Any:
    if name == "waiting_for":
        return ", ".join(_awaited(one) for one in value)
    if name == "error":
        first = value.splitlines()[0] if value else ""
        return first if len(first) <= _SHOWN else first[: _SHOWN - 1] + "…"
    return value


def _awaited(one: dict[str, Any]) -> str:
    """`ticket.reopened of ticket:7 until 2026-05-11 10:06`."""
    until = str(one["deadline"])[:16]
    return f"{'/'.join(one['types'])} of {one['subject']} until {until}" if one["subject"] else f"{until}"


def _chosen(settings: Settings, ids: list[str], *, all_failed: bool) -> list[str]:
    if bool(ids) == all_failed:
        raise ConfigurationError(
            "say which: upshot followups retry ID…, or upshot followups retry --all-failed; nothing was done"
        )
    if not all_failed:
        return ids
    answer = Reader(local_viewer(settings)).query(
        "SELECT followup_id FROM current_followups WHERE status = 'failed'"
    )
    return [str(followup_id) for (followup_id,) in answer.rows]


def _retry(settings: Settings, ids: list[str], *, as_json: bool) -> None:
    from upshot.cli.sending import send_events
    from upshot.schemas.resumptions import Resumption
    from upshot.streams.events.outgoing import outgoing
    from upshot.streams.events.topics import TOPICS

    topic = TOPICS["resumptions"]
    events = [outgoing(topic.name, one, Resumption(followup_id=one, kind="retry")) for one in ids]
    sent = asyncio.run(send_events(settings, topic, events)) if events else 0
    if as_json:
        say_json({"topic": settings.topic(topic.name), "followup_ids": ids})
    else:
        say(f"{sent:,} to be tried again; follow-ups without a failure go on undisturbed")


__all__ = ["FOLLOWUPS_EXAMPLES", "followups"]

"""`upshot alerts ping`, `notices` and `retry`: receivers of alerts, what they were sent, and once more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.sending import send_events
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.insights.alerts.retries import retry_requests
from upshot.insights.reader import Reader
from upshot.registry.notice_requests import request_event
from upshot.settings import Settings, load_settings, local_viewer
from upshot.streams.events.topics import TOPICS

PING_EXAMPLES = ("upshot alerts ping on-call", "upshot alerts ping ops --json")
NOTICES_EXAMPLES = (
    "upshot alerts notices",
    "upshot alerts notices --failed",
    "upshot alerts notices --receiver on-call --json",
)

RETRY_EXAMPLES = ("upshot alerts retry 5f3c2d0f8e0f4d2b9a61c1f7a9b0c3d4",)

QUERY = """\
SELECT changed_at, status, receiver, name, state, attempts, last_status, error, next_attempt_at,
    notice_id, alert_id, receiver_kind, digest_id, length(digest_of) AS digest_size, raised_at, sent_at
FROM notices
WHERE ({receiver:String} = '' OR receiver = {receiver:String})
    AND ({alert:String} = '' OR alert_id = {alert:String} OR notice_id = {alert:String}
        OR digest_id = {alert:String} OR has(digest_of, {alert:String}))
    AND (NOT {failed:Bool} OR status IN ('failed', 'retrying'))
ORDER BY changed_at DESC, notice_id
"""


def ping(
    receiver: Annotated[str, typer.Argument(help="The receiver.", metavar="RECEIVER")],
    as_json: Json = False,
) -> None:
    """Send a test notice to a receiver of the settings, once, and print its answer.

    Ends with 1 where the receiver did not take the notice.
    """
    result = asyncio.run(_try(load_settings(), receiver))
    taken = result["result"] == "accepted"
    if as_json:
        say_json(result)
    elif taken:
        status = f" ({result['status']})" if result["status"] else ""
        say(f"{receiver} took a test notice{status}: {result['notice_id']}")
        if result["error"]:
            note(result["error"])
    else:
        note(f"{receiver} {result['error']}; nothing else was done")
    if not taken:
        raise typer.Exit(Exit.REFUSED)


async def _try(settings: Settings, name: str) -> dict[str, Any]:
    from upshot.receivers.configured import read_receivers
    from upshot.receivers.messages import trial_message
    from upshot.receivers.posting import Poster
    from upshot.receivers.results import Accepted
    from upshot.schemas.ids import fact_id
    from upshot.streams.events.instants import micros

    receivers = read_receivers(settings)
    receiver, now = receivers.named(name), datetime.now(UTC)
    message = trial_message(fact_id("notice", "test", name, now.isoformat()), micros(now))
    poster = Poster(receivers)
    try:
        result = await poster.post(receiver, message, now)
    finally:
        await poster.disconnect()
    return {
        "receiver": name,
        "result": type(result).__name__.lower(),
        "status": result.status,
        "error": result.note if isinstance(result, Accepted) else result.error,
        "notice_id": message.notice_id,
    }


def notices(
    alert: Annotated[str | None, typer.Argument(help="An alert, a notice or a digest.", metavar="ID")] = None,
    receiver: Annotated[str | None, typer.Option(help="Only of this receiver.", metavar="RECEIVER")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only notices given up, or still failing.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many to show at the most.", metavar="N")] = 100,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List notices of alerts, the latest change first: sent, retrying, dropped, failed, and why."""
    reader = Reader(local_viewer(client_settings(data_dir)))
    chosen = {"receiver": receiver or "", "alert": alert or "", "failed": "true" if failed else "false"}
    answer = reader.query(f"{QUERY}LIMIT {limit}", chosen)
    if as_json:
        say_json(answer.objects())
        return
    shown = 9
    rows = [row[:shown] for row in answer.rows]
    say_table([column.name for column in answer.columns[:shown]], rows, empty="no notices")
    if len(answer.rows) == limit:
        note(f"the latest {limit:,}; --limit shows more")


def retry(
    ident: Annotated[str, typer.Argument(help="A failed notice, its alert, or its digest.", metavar="ID")],
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Try failed notices again, under their ids, and all tries anew; mend the receiver first.

    A notice whose alert has another state by now is not sent.
    """
    settings = client_settings(data_dir)
    requests = retry_requests(Reader(local_viewer(settings)), ident)
    asyncio.run(send_events(settings, TOPICS["notice-requests"], [request_event(one) for one in requests]))
    if as_json:
        say_json([{"notice_id": one.retry, "receiver": one.receiver} for one in requests])
        return
    for one in requests:
        say(f"{one.retry} is tried again: {one.alert.state} of {one.alert.name} to {one.receiver}")
    note(f"see what becomes of it: upshot alerts notices {ident}")


__all__ = ["NOTICES_EXAMPLES", "PING_EXAMPLES", "QUERY", "RETRY_EXAMPLES", "notices", "ping", "retry"]

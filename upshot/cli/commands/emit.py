"""`upshot emit`: send events from a file, a pipe or the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json
from upshot.errors import ConfigurationError
from upshot.streams.events.topics import TOPICS, Topic

if TYPE_CHECKING:
    from upshot.streams.events.checking import Refusal

EMIT_EXAMPLES = (
    """upshot emit outcome --type pr.closed --subject pr:1 --data '{"merged":true}'""",
    "upshot emit runs runs.jsonl",
    """echo '{"run_id":"r1","name":"helpful","value":0.8}' | upshot emit scores""",
)
_SHOWN = 20
_SHORT_FORM = "Short form for one outcome"


def emit(
    topic: Annotated[
        str, typer.Argument(help="Topic of the contract, such as `outcomes` (or `outcome`).", metavar="TOPIC")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="JSON lines, a JSON array or a single object; - or nothing reads stdin.",
            metavar="FILE",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--type", help="The outcome's type, such as `pr.closed`.", rich_help_panel=_SHORT_FORM),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="The outcome's subject, such as `pr:1`.", rich_help_panel=_SHORT_FORM)
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The outcome's data, as JSON.", rich_help_panel=_SHORT_FORM)
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="The outcome's instant (RFC 3339).", rich_help_panel=_SHORT_FORM)
    ] = None,
    event_id: Annotated[
        str | None,
        typer.Option("--id", help="The outcome's id, unique for its source.", rich_help_panel=_SHORT_FORM),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The outcome's source.", rich_help_panel=_SHORT_FORM)
    ] = None,
    key_field: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD", help="Take the record's key from this field.", show_default="the topic's"
        ),
    ] = None,
    validate: Annotated[
        bool,
        typer.Option("--validate/--no-validate", help="Check every event first; send none if any is wrong."),
    ] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send events to a topic and wait until Kafka has them.

    Everything is read and checked before anything is sent.
    """
    from upshot.cli.sending import send_events
    from upshot.streams.events.checking import check_all
    from upshot.streams.events.outgoing import OutgoingEvent
    from upshot.streams.events.reading import key_of, read_events

    chosen = _topic(topic)
    short = {"type": kind, "subject": subject, "data": data, "time": time, "id": event_id, "source": source}
    given = {name: value for name, value in short.items() if value is not None}
    settings = client_settings(data_dir)
    raw = _short_form(chosen, given, file) if given else _read(file)
    events = read_events(raw)
    checked, wrong = check_all(chosen, events) if validate else ([], [])
    if wrong:
        _refuse(wrong, len(events))
    if not events:
        note("there is no event in the input: nothing was sent")
    name, field = settings.topic(chosen.name), key_field or chosen.key
    if not validate or field != chosen.key:
        checked = [OutgoingEvent(chosen.name, key_of(one.value, field), one.value) for one in events]
    sent = asyncio.run(send_events(settings, chosen, checked)) if checked else 0
    if as_json:
        say_json({"topic": name, "sent": sent})
    else:
        say(f"{sent:,} {'event' if sent == 1 else 'events'} sent to {name}")


def _refuse(wrong: Sequence[Refusal], events: int) -> NoReturn:
    """Print the refused events, as far as there is room, and exit."""
    for line in wrong[:_SHOWN]:
        note(f"{line.where}: {line.reason}: {line.detail}")
    more = f" ({len(wrong) - _SHOWN} of them not shown)" if len(wrong) > _SHOWN else ""
    note(f"{len(wrong)} of {events} events are wrong{more}; nothing was sent: mend them, or --no-validate")
    raise typer.Exit(Exit.REFUSED)


def _topic(name: str) -> Topic:
    for topic in TOPICS.values():
        if name in (topic.name, topic.name.removesuffix("s")):
            return topic
    raise ConfigurationError(
        f"there is no topic {name!r}; nothing was sent: choose one of {', '.join(TOPICS)}"
    )


def _read(file: Path | None) -> bytes:
    if file is not None and str(file) != "-":
        try:
            return file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} can't be read: {error.strerror}; nothing was sent") from None
    if sys.stdin.isatty():
        note("reading events from the terminal, one JSON object per line; Ctrl-D ends", style="dim")
    return sys.stdin.buffer.read()


def _short_form(topic: Topic, given: dict[str, str], file: Path | None) -> bytes:
    if topic.name != "outcomes" or file is not None:
        raise ConfigurationError(
            f"--{next(iter(given))} describes one outcome: it goes with `upshot emit outcome` and without a "
            "file; nothing was sent"
        )
    event: dict[str, Any] = dict(given)
    if "data" in given:
        try:
            event["data"] = json.loads(given["data"])
        except ValueError as error:
            raise ConfigurationError(f"--data is no JSON: {error}; nothing was sent") from None
    return json.dumps(event).encode()


__all__ = ["EMIT_EXAMPLES", "emit"]

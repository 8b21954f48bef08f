"""`upshot forget`: removes a run's or a subject's data from ClickHouse and from the workers' state."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.errors import ConfigurationError, KafkaUnavailable

if TYPE_CHECKING:
    from upshot.processors.store.forgetting import ForgettableRows, Forgotten
    from upshot.settings import Settings

FORGET_EXAMPLES = (
    "upshot forget --subject ticket:4711 --dry-run",
    "upshot forget --subject ticket:4711",
    "upshot forget --run 5d41402abc4b2a76b9719d911017c592 --yes",
)


def forget(
    subject: Annotated[str | None, typer.Option(help="Forget all about this subject.")] = None,
    run: Annotated[str | None, typer.Option(help="Forget all about this run.", metavar="ID")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be forgotten.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the workers.", min=0)] = 60.0,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Remove what is known about a run or a subject, for good; and say what remains where, until when.

    The workers' state is told through Kafka and forgets; events on their way are waited for. Then rows in
    ClickHouse are deleted from all tables, and rows for reading are written anew. Scores already given to
    other runs aren't revised. Exit code 75: a worker is away or slow, and not all is done; the workers go on
    with it when they are back, run the command again then. Can be repeated without harm.
    """
    from upshot.processors.store.forgetting import Forgotten, check, find, merged

    if (subject is None) == (run is None):
        raise ConfigurationError("say whose data: either --subject S or --run ID; nothing was forgotten")
    person = Forgotten("run", run) if run is not None else Forgotten("subject", subject or "")
    check(person)
    settings = client_settings(data_dir)
    found, left = merged(find(shard, person) for shard in settings.shards), list[str]()
    _say_found(person, found, as_json=as_json)
    if not dry_run:
        if not yes:
            _ask(person)
        left = _carry_out(settings, person, found, wait)
    remaining = _remaining(settings)
    if as_json:
        tables = {held.table: held.rows for held in found.held}
        answer = {"forgotten": not dry_run and not left, "rows": tables, "left": left, "remains": remaining}
        say_json({person.kind: person.name, **answer})
    else:
        say(
            "nothing was forgotten (--dry-run)"
            if dry_run
            else "not all is forgotten yet"
            if left
            else "forgotten"
        )
        say_table(("remains", "until"), list(remaining.items()))
    for one in left:
        note(f"{one}; run the command again then")
    if left:
        raise typer.Exit(Exit.TEMPORARY)


def _carry_out(settings: Settings, person: Forgotten, found: ForgettableRows, wait: float) -> list[str]:
    """Forget. Returns what a worker has still to do, in sentences."""
    from upshot.processors.store.forgetting import delete, find, written_anew

    until = monotonic() + wait
    asyncio.run(_send(settings, _records(person, found)))
    left = asyncio.run(_on_their_way(settings, until))
    places = [(shard, find(shard, person, found.names)) for shard in settings.shards]
    for shard, here in places:
        delete(shard, here)
    followed = [written_anew(shard, here.runs, max(0.0, until - monotonic())) for shard, here in places]
    if not all(followed):
        left.append(
            "rows for reading may still be written from earlier facts: `materialize` is away or behind"
        )
    for shard, here in places:
        delete(shard, find(shard, person, here.names))
    return left


#: Roles that write what the later ones read.
_PIPELINE = ("traces", "correlate", "store")


async def _on_their_way(settings: Settings, until: float) -> list[str]:
    """Wait until events written by now are in ClickHouse. Returns what is left, in sentences."""
    from upshot.streams.events.topics import TOPICS
    from upshot.streams.kafka.catching_up import left_behind

    left = []
    for role in _PIPELINE:
        topics = [settings.topic(topic.name) for topic in TOPICS.values() if role in topic.consumers]
        seconds = max(0.0, until - monotonic())
        if records := await left_behind(settings, settings.app_id(role), topics, seconds):
            left.append(f"`{role}` has {records} records still to read, which may name the forgotten")
    return left


def _say_found(person: Forgotten, found: ForgettableRows, *, as_json: bool) -> None:
    if not as_json:
        rows = [(held.table, held.rows) for held in found.held]
        say_table(("table", "rows"), rows, empty=f"ClickHouse holds nothing about this {person.kind}")


def _ask(person: Forgotten) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody is there to be asked: give --yes; nothing was forgotten")
    note(f"Forget all about {person.kind} {person.name}? It can't be brought back. [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigurationError("nothing was forgotten")


def _records(person: Forgotten, found: ForgettableRows) -> list[tuple[str, str, bytes | None]]:
    """What the workers are told, as topic, key and value: erasures for state and changelogs."""
    from upshot.schemas.withdrawals import Erasure

    if person.kind == "subject":
        return [("waits", name, None) for name in person.spellings]
    now = datetime.now(UTC)
    waits = [(one, Erasure(subject=one, run_id=person.name, erased_at=now)) for one in found.subjects]
    erased = [("waits", one, erasure.model_dump_json().encode()) for one, erasure in waits]
    return [*erased, *(("deferrals", one, None) for one in found.followups)]


async def _send(settings: Settings, records: list[tuple[str, str, bytes | None]]) -> None:
    """Send the records, acknowledged. Raises KafkaUnavailable: nothing is deleted then."""
    from aiokafka.errors import KafkaError

    from upshot.streams.kafka.producer import delivered, event_producer

    async with event_producer(settings) as producer:
        try:
            await delivered([await producer.send(topic, value, key=key) for topic, key, value in records])
        except KafkaError as error:
            raise KafkaUnavailable(
                f"Kafka did not take all ({error}): nothing was deleted in ClickHouse; run the command again"
            ) from None


def _remaining(settings: Settings) -> dict[str, str]:
    """What remains where, and until when."""
    from upshot.streams.events.topics import TOPICS

    remaining = {
        f"topic {settings.topic(topic.name)}": f"{topic.retention.days} days after an event was written"
        for topic in TOPICS.values()
        if topic.retention is not None
    }
    marks = max(settings.look_back, settings.settled_retention).days
    return remaining | {
        "values in the changelogs of the workers": "Kafka compacts them",
        "marks that something is forgotten: the key, a time, a hash": f"{marks} days from now",
        "files that events wait in while Kafka is away (upshot doctor)": "Kafka has them",
        "backups and exports of yours": "you delete them",
    }


__all__ = ["FORGET_EXAMPLES", "forget"]

"""`upshot migrate`: topics and tables as this release wants them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json
from upshot.settings import Settings

MIGRATE_EXAMPLES = ("upshot migrate", "upshot migrate --status", "upshot migrate --json")


def migrate(
    data_dir: DataDir = None,
    status: Annotated[
        bool, typer.Option("--status", help="Change nothing; show how far the rows for reading are.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create missing topics and apply the database's new migrations.

    A worker does the same at its start. The command can be run any number of times, also by several at once.
    """
    from upshot.processors.store.migrate import Progress, migrations
    from upshot.processors.store.migrate import migrate as apply
    from upshot.streams.kafka.admin import ensure_topics

    settings = client_settings(data_dir)
    if status:
        _status(settings, as_json)
        return

    def progress(step: Progress) -> None:
        if step.done < step.total:
            note(f"migration {step.done + 1} of {step.total}: {step.name} ...")

    created = asyncio.run(ensure_topics(settings))
    applied = apply(settings, progress)
    if as_json:
        names = [f"{migration.number:04}_{migration.name}" for migration in applied]
        say_json({"topics_created": created, "migrations_applied": names, "migrations": len(migrations())})
        return
    say(f"topics: {', '.join(created)} created" if created else "topics: all there")
    total = len(migrations())
    say(f"tables: {len(applied)} of {total} migrations applied" if applied else f"tables: current ({total})")


def _status(settings: Settings, as_json: bool) -> None:
    from upshot.insights.limits import QueryLimits
    from upshot.insights.reader import Reader
    from upshot.processors.materialize.backfill import STANDINGS, WORKS
    from upshot.processors.store.migrate import migrations

    reader = Reader(settings, limits=QueryLimits(seconds=30))
    [[applied]] = reader.query("SELECT uniqExact(number) FROM migrations").rows
    found = {work: (int(done), int(pieces)) for work, done, pieces in reader.query(STANDINGS).rows}
    works = {work: found.get(work, (0, 0)) for work in WORKS}
    whole = all(pieces and done == pieces for done, pieces in works.values())
    if as_json:
        backfill = {work: {"done": done, "pieces": pieces} for work, (done, pieces) in works.items()}
        say_json(
            {
                "migrations_applied": int(applied),
                "migrations": len(migrations()),
                "backfill": backfill,
                "whole": whole,
            }
        )
        return
    say(f"tables: {applied} of {len(migrations())} migrations applied")
    for work, (done, pieces) in works.items():
        say(f"rows for reading, {work}: {f'{done} of {pieces} pieces' if pieces else 'not begun'}")
    say(
        "views read the tables"
        if whole
        else "views read the facts until all is done; the worker materialize does it"
    )


__all__ = ["MIGRATE_EXAMPLES", "migrate"]

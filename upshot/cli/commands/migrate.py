"""`upshot migrate`: topics and tables as this release wants them."""

from __future__ import annotations

import asyncio

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json

MIGRATE_EXAMPLES = ("upshot migrate", "upshot migrate --json")


def migrate(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Create missing topics and apply the database's new migrations.

    A worker does the same at its start. The command can be run any number of times, also by several at once.
    """
    from upshot.processors.store.migrate import Progress, migrations
    from upshot.processors.store.migrate import migrate as apply
    from upshot.streams.kafka.admin import ensure_topics

    settings = client_settings(data_dir)

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


__all__ = ["MIGRATE_EXAMPLES", "migrate"]

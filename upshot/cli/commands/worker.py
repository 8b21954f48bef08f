"""`upshot worker`: the roles that turn events into scores and rows."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir
from upshot.settings import load_settings

WORKER_EXAMPLES = ("upshot worker", "upshot worker --role store")


def worker(
    role: Annotated[
        Literal["all", "correlate", "store"],
        typer.Option(
            help="`correlate` joins outcomes and waits, `store` writes rows; `all` runs both, each in a "
            "process of its own that is restarted if it dies."
        ),
    ] = "all",
    data_dir: DataDir = None,
) -> None:
    """Run the stream processor until Ctrl-C.

    Waits for Kafka and ClickHouse, creates missing topics and applies new migrations at its start. Start as
    many as you like: the partitions are shared among them.
    """
    from upshot.cli.roles import run_role, supervise
    from upshot.local.roles import ROLES
    from upshot.streams.batch.logs import log_one_line

    log_one_line()
    settings = load_settings(data_dir=data_dir)
    if role != "all":
        run_role(settings, role)
    code = asyncio.run(supervise(settings, ROLES))
    raise typer.Exit(Exit(code))


__all__ = ["WORKER_EXAMPLES", "worker"]

"""`upshot worker`: the roles turning events into scores and rows."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import AppName, DataDir
from upshot.settings import load_settings

WORKER_EXAMPLES = (
    "upshot worker",
    "upshot worker --role store",
    "upshot worker --role correlate --processes 4",
    "upshot worker --app support.app:app",
)


def worker(
    role: Annotated[
        Literal[
            "all",
            "correlate",
            "store",
            "materialize",
            "traces",
            "sources",
            "followups",
            "evaluations",
            "alerts",
            "notifications",
            "experiments",
        ],
        typer.Option(
            help=(
                "`correlate` joins outcomes and waits, `store` writes rows, `materialize` writes rows for "
                "reading, `traces` reads spans, "
                "`sources` reads the topics of an app's sources, `followups` runs the app's scorers, "
                "`evaluations` exports scores to a collector, `alerts` judges scores by the rules of alerts, "
                "`notifications` notifies receivers of alerts, `experiments` sets the weights of adaptive "
                "experiments; `all` runs the configured roles, each in a process of its own, restarted after "
                "a crash."
            )
        ),
    ] = "all",
    processes: Annotated[
        int,
        typer.Option(min=1, help="Processes of `correlate`, which share its partitions: each uses a core."),
    ] = 1,
    app: AppName = None,
    data_dir: DataDir = None,
) -> None:
    """Run the stream processor until Ctrl-C.

    Waits for Kafka and ClickHouse, creates missing topics and applies new migrations at its start. Start as
    many as you like: the partitions are shared among them.
    """
    from upshot.cli.roles import run_role, supervise
    from upshot.processors.roles import ROLES, roles_of, roles_of_app
    from upshot.streams.kafka.logs import log_one_line

    log_one_line()
    settings = load_settings(data_dir=data_dir)
    if processes > 1 and role != "all" and not ROLES[role].shares_partitions:
        raise typer.BadParameter(f"only the join is shared among processes; {role} runs in one")
    if role != "all" and processes == 1:
        run_role(settings, role, app)
    roles: list[str] = [role]
    if role == "all":
        roles = [*roles_of(settings), *roles_of_app(app)]
    code = supervise(settings, [*["correlate"] * (processes - 1), *roles], app)
    raise typer.Exit(Exit(code))


__all__ = ["WORKER_EXAMPLES", "worker"]

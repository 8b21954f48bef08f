"""`upshot up`: everything on this machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from upshot.cli.options import AppName, DataDir
from upshot.cli.terminal import note, say
from upshot.errors import ConfigurationError
from upshot.settings import LOCAL_USER, LOCAL_VIEWER, Settings, load_settings
from upshot.version import __version__

UP_EXAMPLES = (
    "upshot up",
    "upshot up --data-dir /tmp/try --kafka-port 0 --clickhouse-port 0 --web-port 0",
    "UPSHOT_KAFKA_URL=kafka:9092 upshot up --with clickhouse,worker,web",
)
_FREE = "(0: any free port)"


def up(
    data_dir: DataDir = None,
    kafka_port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help=f"Kafka {_FREE}.")] = 9092,
    clickhouse_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help=f"ClickHouse over HTTP {_FREE}.")
    ] = 8123,
    web_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help=f"The web page {_FREE}.")
    ] = 8321,
    parts: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="A,B",
            help="Which components to run; the others are expected at the addresses in the settings.",
        ),
    ] = "kafka,clickhouse,worker,web",
    app: AppName = None,
) -> None:
    """Run Kafka, ClickHouse, the worker and the web page until Ctrl-C.

    Everything listens on 127.0.0.1 alone. The data stays in the data directory, closed to other users, for
    the next start; the first start fetches Apache Kafka. A component that dies is started again.
    """
    from upshot.local.stack import Stack
    from upshot.local.topology import PARTS, Topology
    from upshot.receivers.configured import read_receivers

    wanted = [part for part in PARTS if part in (names := [name.strip() for name in parts.split(",")])]
    if len(wanted) != len(names):
        raise ConfigurationError(f"--with {parts}: choose from {','.join(PARTS)}; nothing was started")
    settings = load_settings(data_dir=data_dir)
    if settings.has_receivers:
        read_receivers(settings)  # a wrong one is named before Kafka is started
    os.umask(0o077)
    stop = threading.Event()

    def report(line: str) -> None:
        note(line, style="dim")
        if stop.is_set():  # a download would go on for long
            raise KeyboardInterrupt

    ports = {"kafka": kafka_port, "clickhouse": clickhouse_port, "web": web_port}
    whole = Topology(settings, wanted, ports, report, app)
    note(f"Upshot {__version__} in {settings.data_dir}", style="bold")
    stack = Stack(
        settings.data_dir,
        whole.parts(),
        report=lambda line: note(line, style="yellow"),
        when_ready=lambda found: _say_addresses(whole.settings, found, data_dir),
    )
    stack.run(stop)
    note("stopped; the data stays", style="dim")


def _say_addresses(settings: Settings, ports: dict[str, int | None], data_dir: Path | None) -> None:
    there = f" --data-dir {data_dir}" if data_dir is not None else ""
    say()
    say("Upshot is up", style="bold green")
    say(f"  Kafka       {settings.kafka_url}")
    if ports["clickhouse"]:
        say(f"  ClickHouse  http://127.0.0.1:{ports['clickhouse']}  database upshot")
        say(f"              users {LOCAL_USER} and {LOCAL_VIEWER} (read-only): upshot credentials{there}")
    if ports["web"]:
        say(f"  Web page    http://127.0.0.1:{ports['web']}")
        say(
            f"  Events      http://127.0.0.1:{ports['web']}/v1/outcomes and others; traces: /v1/traces (OTLP)"
        )
    say(f"  Data, logs  {settings.data_dir}")
    say()
    say("Next, in another terminal:", style="bold")
    say(f"""  upshot emit outcome --type pr.closed --subject pr:1 --data '{{"merged":true}}'{there}""")
    say(f"  upshot query --question scores-by-agent{there}")
    say(f"  upshot doctor{there}")
    say()
    say("Ctrl-C stops everything; the data stays.", style="dim")


__all__ = ["UP_EXAMPLES", "up"]

"""Options shared by several commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from upshot.credentials import read_credentials
from upshot.errors import Unavailable
from upshot.settings import Settings, load_settings

DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of a local stack (started by `upshot up`).",
        show_default="UPSHOT_DATA_DIR, else .upshot",
    ),
]
AppName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:NAME",
        help="An app of yours: its sources map topics and webhooks to outcomes, its scorers are run.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def client_settings(data_dir: Path | None) -> Settings:
    """The settings of a command against a running system.

    Raises Unavailable where a named data directory has no running stack, or no stack of this user: the
    addresses of another system would be a surprise.
    """
    if data_dir is not None:
        _check_stack(data_dir)
    return load_settings(data_dir=data_dir)


def _check_stack(data_dir: Path) -> None:
    ports, start = data_dir / "ports.json", f"upshot up --data-dir {data_dir}"
    try:
        has_clickhouse = bool(json.loads(ports.read_text()).get("clickhouse"))
    except PermissionError:
        raise Unavailable(
            f"{data_dir} belongs to another user, who alone may use the stack there: nothing was done; ask "
            "its owner for an address and a password (UPSHOT_KAFKA_URL, UPSHOT_CLICKHOUSE_URL)"
        ) from None
    except (OSError, ValueError, AttributeError):
        raise Unavailable(
            f"no stack runs in {data_dir} (there is no {ports}): nothing was done; start it with  {start}"
        ) from None
    if has_clickhouse and read_credentials(data_dir) is None:
        raise Unavailable(
            f"the stack in {data_dir} was started by an earlier version, without passwords of its own: "
            f"nothing was done; stop it and start it again with  {start}"
        )


__all__ = ["AppName", "DataDir", "Json", "client_settings"]

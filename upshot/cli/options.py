"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from pydantic import SecretStr

from upshot.errors import Unavailable
from upshot.settings import (
    LOCAL_PASSWORD,
    LOCAL_USER,
    LOCAL_VIEWER,
    Settings,
    load_settings,
    local_addresses,
)

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
        help="An app of yours: its sources say which topics and webhooks are outcomes, its scorers are run.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def client_settings(data_dir: Path | None) -> Settings:
    """The settings of a command that talks to a running system.

    Raises Unavailable where a data directory is named in which no stack runs: the addresses of
    another system would be a surprise.
    """
    if data_dir is not None and not local_addresses(data_dir):
        raise Unavailable(
            f"no stack runs in {data_dir} (there is no {data_dir / 'ports.json'}): nothing was done; start it "
            f"with  upshot up --data-dir {data_dir}"
        )
    return load_settings(data_dir=data_dir)


def reading(settings: Settings) -> Settings:
    """The same for reading alone: a local stack has a user for that, who may change nothing."""
    local = local_addresses(settings.data_dir).get("clickhouse_url")
    if settings.clickhouse_url.get_secret_value() != local:
        return settings
    viewer = local.replace(f"{LOCAL_USER}:{LOCAL_PASSWORD}@", f"{LOCAL_VIEWER}@", 1)
    return settings.model_copy(update={"clickhouse_url": SecretStr(viewer)})


__all__ = ["AppName", "DataDir", "Json", "client_settings", "reading"]

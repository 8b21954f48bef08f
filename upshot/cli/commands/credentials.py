"""`upshot credentials`: how other programs get into the ClickHouse of a local stack."""

from __future__ import annotations

import json
from pathlib import Path

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import say_json, say_table
from upshot.credentials import read_credentials
from upshot.errors import Unavailable
from upshot.settings import LOCAL_USER, LOCAL_VIEWER, local_url

CREDENTIALS_EXAMPLES = (
    "upshot credentials",
    "upshot credentials --json | jq -r '.viewer.url'",
)


def credentials(as_json: Json = False, data_dir: DataDir = None) -> None:
    """Print users, passwords and addresses of the ClickHouse run by `upshot up`.

    `app` reads and writes the database `upshot` and databases named `upshot_…`; `viewer` reads `upshot`. Each
    data directory has passwords of its own, in a file readable by its owner alone.
    """
    folder = client_settings(data_dir).data_dir
    found, port = read_credentials(folder), _port(folder)
    if found is None or port is None:
        raise Unavailable(
            f"no ClickHouse runs in {folder}: nothing was printed; start it with  upshot up, or name its "
            "folder (--data-dir)"
        )
    users = {LOCAL_USER: (found.app, "reads and writes"), LOCAL_VIEWER: (found.viewer, "reads")}
    if as_json:
        say_json(
            {
                user: {"user": user, "password": password, "url": local_url(user, password, port)}
                for user, (password, _) in users.items()
            }
        )
        return
    rows = [(user, password, rights) for user, (password, rights) in users.items()]
    say_table(("user", "password", "rights"), rows, title=f"http://127.0.0.1:{port}  database upshot")


def _port(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / "ports.json").read_text())["clickhouse"] or 0) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


__all__ = ["CREDENTIALS_EXAMPLES", "credentials"]

"""Who else gets into a local stack: its folder, its passwords, and the rights of users in its ClickHouse."""

from __future__ import annotations

import json
import stat
from http.client import HTTPException
from pathlib import Path

from upshot.credentials import FILE_NAME, read_credentials
from upshot.errors import ConfigurationError
from upshot.local.clickhouse import PINNED, UNCONFINED
from upshot.local.clickhouse_locks import Open, Server, open_locks
from upshot.ops.doctor.finding import Finding
from upshot.private_files import is_open

FOLDER, USERS = "privacy", "ClickHouse's users"


def examine_locks(data_dir: Path) -> list[Finding]:
    """The local stack in `data_dir`; nothing where there is none, or where the stack leaves ClickHouse to
    another machine.
    """
    try:
        port = json.loads((data_dir / "ports.json").read_text()).get("clickhouse")
    except (OSError, ValueError, AttributeError):
        return []
    return [_privacy(data_dir), *([_users(data_dir, port)] if port else [])]


def _privacy(data_dir: Path) -> Finding:
    file = data_dir / FILE_NAME
    if file.exists() and is_open(file):
        found = f"{file} is open to other users ({stat.S_IMODE(file.stat().st_mode):04o})"
        return Finding(
            FOLDER, "wrong", found, "stop the stack and remove the file: the next start makes new passwords"
        )
    if is_open(data_dir):
        found = f"other users may look into {data_dir} ({stat.S_IMODE(data_dir.stat().st_mode):04o})"
        return Finding(
            FOLDER, "notice", found, f"chmod 700 {data_dir}, or choose a folder for Upshot alone (--data-dir)"
        )
    return Finding(FOLDER, "fine", f"nobody else may look into {data_dir}")


def _users(data_dir: Path, port: int) -> Finding:
    try:
        credentials = read_credentials(data_dir)
    except ConfigurationError as error:
        return Finding(USERS, "wrong", str(error), "stop the stack, remove the file, and start again")
    if credentials is None:
        found = "this stack was started by an earlier version: its password is the same everywhere"
        return Finding(USERS, "wrong", found, "stop it and start it again: upshot up")
    try:
        return users(open_locks(Server("127.0.0.1", port, credentials), data_dir))
    except (OSError, HTTPException) as error:
        return Finding(USERS, "unknown", f"not looked at: ClickHouse doesn't answer ({error})")


def users(found: list[Open]) -> Finding:
    """The meaning of the open locks."""
    if wrong := [f"{lock.who} {lock.what}" for lock in found if not lock.is_kernels]:
        to_do = (
            f"stop the stack and install chdb-core=={PINNED} again; until then give its passwords to nobody"
        )
        return Finding(USERS, "wrong", f"ClickHouse lets {'; '.join(wrong)}", to_do)
    if found:
        to_do = (
            "give the password of app only to whom you would give this account; viewer is kept in all the "
            "same"
        )
        return Finding(USERS, "notice", UNCONFINED, to_do)
    return Finding(
        USERS, "fine", "app and viewer reach their databases alone: no file, no network, no web page"
    )


__all__ = ["examine_locks", "users"]

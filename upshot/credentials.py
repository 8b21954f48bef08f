"""The passwords of a local stack's ClickHouse: random, a pair per data directory, in a private file."""

from __future__ import annotations

import json
import os
import secrets
import stat
from pathlib import Path
from typing import NamedTuple

from upshot.errors import ConfigurationError
from upshot.private_files import create_private

#: In the data directory.
FILE_NAME = "credentials.json"
_BYTES = 24


class Credentials(NamedTuple):
    """The password of each user. Letters and digits alone: they stand in URLs as they are."""

    app: str
    viewer: str


def read_credentials(data_dir: Path) -> Credentials | None:
    """The passwords of the stack in `data_dir`; None where absent, or unreadable for this user.

    Raises ConfigurationError where the file holds something else.
    """
    file = data_dir / FILE_NAME
    try:
        found = json.loads(file.read_text())
        return Credentials(app=_password(found["app"]), viewer=_password(found["viewer"]))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{file} holds no passwords of ClickHouse's users: nothing was done; stop the stack and remove "
            "the file, the next start makes new ones"
        ) from None


def make_credentials(data_dir: Path) -> Credentials:
    """The passwords of `data_dir`, made now where absent; a later caller gets the first caller's passwords.

    The file is closed if open to others. Raises ConfigurationError where the file is another user's, who then
    knows them.
    """
    made = Credentials(app=secrets.token_hex(_BYTES), viewer=secrets.token_hex(_BYTES))
    file = data_dir / FILE_NAME
    create_private(file, json.dumps(made._asdict(), indent=2) + "\n")
    kind = file.lstat()
    found = read_credentials(data_dir) if stat.S_ISREG(kind.st_mode) and kind.st_uid == os.geteuid() else None
    if found is None:
        raise ConfigurationError(
            f"{file} isn't a file of this user: nothing was started; start as its owner, or choose another "
            "data directory (--data-dir)"
        )
    file.chmod(0o600)
    return found


def _password(text: object) -> str:
    if not isinstance(text, str) or not text.isalnum() or not text.isascii():
        raise ValueError
    return text


__all__ = ["FILE_NAME", "Credentials", "make_credentials", "read_credentials"]

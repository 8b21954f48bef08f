"""Folders and files readable by their owner alone, whatever the umask is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

#: What group and others may not have.
_OTHERS = 0o077


def private_folder(folder: Path) -> Path:
    """Make the folder, and each missing parent, for the owner alone (0700); close a folder open to others.

    A folder belonging to somebody else, or to everybody (sticky, such as /tmp), or with other purposes (the
    user's home, the working directory or a folder above) stays as is. Raises OSError where the folder can't
    be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        _close(path)  # the umask may have taken some of the owner's rights
    if is_ours_to_close(folder):
        _close(folder)
    return folder


def is_ours_to_close(folder: Path) -> bool:
    """Whether the folder may be closed to others: this user's folder, without other purposes."""
    found = folder.stat()
    place = folder.resolve()
    shared = {*_and_above(Path.cwd), *_and_above(Path.home)}
    return found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX and place not in shared


def is_open(path: Path) -> bool:
    """Whether group or others have any right on the folder or file."""
    return bool(path.stat().st_mode & _OTHERS)


def close_tree(folder: Path) -> None:
    """Take the rights of group and others from everything in the folder, if it is open; links stay."""
    if not folder.is_dir() or folder.is_symlink() or not is_open(folder):
        return
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)
    _close(folder)


def write_private(path: Path, text: str) -> None:
    """Put the text into a file of mode 0600; readers find the earlier text, or all of the new text."""
    draft = _draft(path, text)
    draft.replace(path)


def create_private(path: Path, text: str) -> bool:
    """The same for a file that must not exist yet: False, without a change, where the file exists."""
    draft = _draft(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as writing:
        os.fchmod(writing.fileno(), 0o600)
        writing.write(text)
        writing.flush()
        os.fsync(writing.fileno())
    return draft


def _close(folder: Path) -> None:
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)


def _and_above(known: Callable[[], Path]) -> set[Path]:
    try:
        place = known().resolve()
    except (RuntimeError, FileNotFoundError):  # a user without a home, a working directory that was removed
        return set()
    return {place, *place.parents}


__all__ = [
    "close_tree",
    "create_private",
    "is_open",
    "is_ours_to_close",
    "private_folder",
    "write_private",
]

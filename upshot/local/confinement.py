"""Confines a process by the kernel: to some folders, some ports to listen at, and nothing else.

Linux's Landlock needs no rights and no package, and a process can't undo the confinement. Where the kernel
has no Landlock (another system, before Linux 5.13), `confine` changes nothing and returns the reason.

Imported by a program with the standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_NO_NEW_PRIVILEGES = 38
_PATH_BENEATH, _NET_PORT = 1, 2
_BIND_TCP, _CONNECT_TCP = 1, 2
#: No signals to others, no abstract sockets.
_SCOPES = 3
#: EXECUTE, READ_FILE, READ_DIR.
_READ = 0b1101
#: How many rights on files each version of Landlock knows: REFER came with 2, TRUNCATE with 3, IOCTL_DEV with
#: 5.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_NOW = 16
#: Rights that a single file can have: EXECUTE, WRITE_FILE, READ_FILE, TRUNCATE, IOCTL_DEV.
_OF_FILES = 0b1100000000000111


def why_not() -> str:
    """The reason why this system can't confine anything, or an empty text."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CREATE, None, 0, 1) < 1:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    return ""


def confine(read: Sequence[str], write: Sequence[str], listen: Sequence[int]) -> str:
    """Confine this thread and everything started by it; returns the reason if impossible, or an empty text.

    Missing paths are left out. Connections by TCP are refused from Linux 6.7 on.
    """
    if why := why_not():
        return why
    if len(os.listdir("/proc/self/task")) != 1:
        return "threads run already, which would stay free"
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, 1)
    every = (1 << _RIGHTS.get(version, _RIGHTS_NOW)) - 1
    net = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    attributes = struct.pack("=QQQ", every, net, _SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_CREATE, attributes, size, 0)
    if rules < 0:
        return f"Landlock refuses ({os.strerror(ctypes.get_errno())})"
    try:
        for path in read:
            _allow(libc, rules, path, every & _READ)
        for path in write:
            _allow(libc, rules, path, every)
        for port in listen if net else ():
            _add(libc, rules, _NET_PORT, struct.pack("=QQ", _BIND_TCP, port))
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.syscall(_RESTRICT, rules, 0):
            return f"Landlock refuses ({os.strerror(ctypes.get_errno())})"
    except OSError as error:
        return f"Landlock refuses ({error.strerror})"
    finally:
        os.close(rules)
    return ""


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _OF_FILES
        _add(libc, rules, _PATH_BENEATH, struct.pack("=Qi", rights, file))
    finally:
        os.close(file)


def _add(libc: ctypes.CDLL, rules: int, kind: int, attributes: bytes) -> None:
    if libc.syscall(_ADD, rules, kind, attributes, 0):
        raise OSError(ctypes.get_errno(), "Landlock takes no rule")


__all__ = ["confine", "why_not"]

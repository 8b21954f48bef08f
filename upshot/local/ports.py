"""Ports on 127.0.0.1 that stay the same over restarts."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from upshot.errors import PartFailed
from upshot.private_files import private_folder, write_private

# Below every system's ephemeral range: a client that connects to a free port of that range again and again
# can end up connected to itself, and then holds the port that the component needs after a crash.
LOWEST, HIGHEST = 20_000, 32_000


def choose_ports(file: Path, wanted: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the wanted port; for 0 the port remembered in `file` if free, else any free port.

    The choice is remembered. Raises PartFailed when a wanted port is taken.
    """
    remembered = _remembered(file)
    free = _free_ports()
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port and not is_free(port):
            raise PartFailed(
                f"port {port} ({name}) is taken by another program; nothing was started: "
                "end that program, or choose another port (0 for any free one)"
            )
        before = remembered.get(name, 0)
        chosen[name] = port or (before if before and is_free(before) else next(free))
    private_folder(file.parent)
    write_private(file, json.dumps(chosen))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen at 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        # As servers do it: connections of an earlier server that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections at 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _remembered(file: Path) -> dict[str, int]:
    try:
        return {str(name): int(port) for name, port in json.loads(file.read_text()).items()}
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _free_ports() -> Iterator[int]:
    """Each port at most once, so two names never get the same port."""
    for port in random.sample(range(LOWEST, HIGHEST), 2_000):
        if is_free(port):
            yield port
    raise PartFailed(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1; nothing was started")


__all__ = ["choose_ports", "is_free", "listens"]

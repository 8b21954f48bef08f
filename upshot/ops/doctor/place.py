"""The data directory and its ports."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from upshot.local.ports import listens
from upshot.ops.doctor.finding import Finding
from upshot.processors.roles import ROLES

_LITTLE_SPACE = 1024**3


def examine_place(data_dir: Path, *, named: bool) -> list[Finding]:
    """The local stack in `data_dir`; nothing where there is none and nobody `named` it."""
    file = data_dir / "ports.json"
    try:
        is_there = file.exists()
    except PermissionError:
        found = f"{data_dir} belongs to another user, who alone may look into it"
        return [Finding("data directory", "wrong", found, "run upshot doctor as its owner")]
    if not is_there:
        if not named:
            return []
        return [
            Finding(
                "data directory",
                "wrong",
                f"no stack runs in {data_dir} (it has no ports.json)",
                f"upshot up --data-dir {data_dir}",
            )
        ]
    return [_space(data_dir), _ports(file, data_dir)]


def _space(data_dir: Path) -> Finding:
    free = shutil.disk_usage(data_dir).free
    found = f"{data_dir}, {free / 1024**3:.1f} GiB free"
    if free < _LITTLE_SPACE:
        return Finding(
            "data directory", "wrong", found, "make room: Kafka and ClickHouse stop when it is full"
        )
    return Finding("data directory", "fine", found)


def _ports(file: Path, data_dir: Path) -> Finding:
    try:
        ports = {name: port for name, port in json.loads(file.read_text()).items() if port}
    except (OSError, ValueError, AttributeError) as error:
        return Finding(
            "ports", "wrong", f"{file} can't be read: {error}", "remove it and start the stack again"
        )
    # Workers do without the page of their metrics: it has a check of its own.
    parts = {name: port for name, port in ports.items() if name.partition("-")[0] not in ROLES}
    silent = [f"{name} ({port})" for name, port in parts.items() if not listens(port)]
    if silent:
        return Finding(
            "ports",
            "wrong",
            f"nobody listens for {', '.join(silent)}",
            f"look into {data_dir / 'logs'}; if the stack was killed, upshot up --data-dir {data_dir}",
        )
    return Finding("ports", "fine", ", ".join(f"{name} {port}" for name, port in ports.items()))


__all__ = ["examine_place"]

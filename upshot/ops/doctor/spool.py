"""Facts recorded by agents on this machine and not taken by Kafka yet."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from upshot.ops.doctor.finding import Finding

#: Facts are sent at once: what waits for longer is held up.
_AT_ONCE = timedelta(minutes=1)
#: When a fact came about, by the first of these that it has.
_WHEN = ("occurred_at", "decided_at", "opened_at", "exposed_at", "ended_at", "started_at", "time")
_CHECK = "spool"


class Waiting(NamedTuple):
    """The facts in a process's file.

    How many, since when the first, and how many no broker will ever take.
    """

    facts: int
    since: datetime
    refused: int


def examine_spool(folder: Path, now: datetime) -> list[Finding]:
    """The facts waiting in `folder`; nothing where no agent of this machine keeps any there."""
    files = sorted(folder.glob("*.db"))
    if not files:
        return []
    found: list[Waiting] = []
    for file in files:
        try:
            found.append(_waiting(file))
        except (OSError, sqlite3.Error, ValueError) as error:
            if not file.exists():
                continue  # its process has sent all and ended
            return [
                Finding(
                    _CHECK, "wrong", f"{file} can't be read: {error}", "see who may read it, or move it away"
                )
            ]
    return [_reported(folder, found, now)]


def _reported(folder: Path, found: list[Waiting], now: datetime) -> Finding:
    facts, refused = sum(one.facts for one in found), sum(one.refused for one in found)
    since = min((one.since for one in found if one.facts), default=now)
    summary = (
        f"{facts:,} facts wait in {folder} for Kafka" if facts else f"no fact waits in {folder} for Kafka"
    )
    if facts:
        summary += f", the first since {since:%Y-%m-%d %H:%M:%S} UTC"
    if refused:
        summary += f"; {refused:,} are put aside there, which no broker takes"
    if facts and now - since > _AT_ONCE:
        to_do = (
            "bring Kafka back, or correct UPSHOT_KAFKA_URL of the agent; the next process of an agent sends "
            "what one left"
        )
        return Finding(_CHECK, "notice", summary, to_do)
    if refused:
        return Finding(
            _CHECK, "notice", summary, f"see why in table refused of the files (SQLite) in {folder}"
        )
    return Finding(_CHECK, "fine", summary)


def _waiting(file: Path) -> Waiting:
    """Read beside the process owning the file, which goes on."""
    last = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        [facts] = db.execute("SELECT count(*) FROM facts").fetchone()
        [refused] = db.execute("SELECT count(*) FROM refused").fetchone()
        first = db.execute("SELECT value FROM facts ORDER BY number LIMIT 1").fetchone()
    return Waiting(facts, _when(first[0], last) if first else last, refused)


def _when(value: bytes, otherwise: datetime) -> datetime:
    event = json.loads(value)
    summary = next((event[name] for name in _WHEN if event.get(name)), None)
    return datetime.fromisoformat(summary) if summary else otherwise


__all__ = ["examine_spool"]

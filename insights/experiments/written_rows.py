"""How far `exposure_rows` is written: whether for all runs, and which facts are still missing from it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from upshot.insights.reader import Reader

#: 1 once the rows of all older runs are written.
ALL_WRITTEN = """\
SELECT countIf(work = 'views' AND done)
FROM raw_backfill FINAL
WHERE (work, plan) IN (SELECT work, min(plan) FROM raw_backfill GROUP BY work)"""

_REACHED = "SELECT slots, slot, toUnixTimestamp64Micro(max(at)) FROM raw_read_up_to GROUP BY slots, slot"
#: The oldest fact whose run isn't written anew.
_UNWRITTEN = """\
SELECT count(), toUnixTimestamp64Micro(min(recorded_at))
FROM changed_runs
WHERE run_id != '' AND inserted_at > fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND toUnixTimestamp64Micro(inserted_at)
        > arrayElement(
            JSONExtract({reached:String}, 'Array(Int64)'), modulo(sipHash64(run_id), {slots:UInt32}) + 1
        )"""

_TICK = timedelta(microseconds=1)
#: A note becomes visible a moment after its instant.
_UNSEEN = 1_000_000
#: Notes last for a day: of an owner who stood still for longer, older ones may be missing.
_REMEMBERED = timedelta(hours=20)
_PAUSE = 0.2


def has_all_rows(reader: Reader) -> bool:
    """Whether the rows of all older runs are written: `exposure_rows` is then quick."""
    [[done]] = reader.query(ALL_WRITTEN).rows
    return bool(int(done))


def read_by(reader: Reader, as_of: datetime) -> datetime:
    """`as_of`, or the latest earlier instant by which all recorded facts are in the rows."""
    if not has_all_rows(reader):
        return as_of
    reached = _reached(reader)
    asked = {
        "since": min(reached) - _UNSEEN,
        "reached": json.dumps([each - _UNSEEN for each in reached]),
        "slots": len(reached),
    }
    [[notes, oldest]] = reader.query(_UNWRITTEN, asked).rows
    found = as_of
    if int(notes):
        found = min(found, _at(int(oldest)) - _TICK)
    if min(reached) and _at(min(reached)) < datetime.now(UTC) - _REMEMBERED:
        found = min(found, _at(min(reached)))
    return found


def _reached(reader: Reader) -> list[int]:
    """By slot of the latest division of runs: up to when its rows follow the facts, in microseconds."""
    rows = [(int(slots), int(slot), int(at)) for slots, slot, at in reader.query(_REACHED).rows]
    latest = max(rows, key=lambda row: row[2], default=(1, 0, 0))[0]
    by_slot = {slot: at for slots, slot, at in rows if slots == latest}
    return [by_slot.get(slot, 0) for slot in range(latest)]


def _at(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def read_by_soon(
    reader: Reader, as_of: datetime, seconds: float, pause: Callable[[float], object] = time.sleep
) -> datetime:
    """The same, once the rows have come to `as_of`, after so many seconds at the latest."""
    until = time.monotonic() + seconds
    while (found := read_by(reader, as_of)) < as_of and time.monotonic() < until:
        pause(_PAUSE)
    return found


__all__ = ["ALL_WRITTEN", "has_all_rows", "read_by", "read_by_soon"]

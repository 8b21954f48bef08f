"""Which runs have new facts, from `changed_runs`, and up to when all of these are written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

#: Microseconds after which an insert is visible, or failed and is tried again with a later instant.
OVERLAP = 120 * 1_000_000
#: Runs of a batch: larger ones cost less for each run, smaller ones are written sooner.
BATCH = 50_000
#: Notes taken at once: a new run has about eight, and whoever takes some of them writes the run again for the
#: others.
NOTES = 8 * BATCH

_MINE = "(modulo(sipHash64(run_id), {slots:UInt32}) IN {mine:Array(UInt32)} OR run_id = '')"
_NEW = f"""
SELECT toUnixTimestamp64Micro(inserted_at), count()
FROM changed_runs
WHERE inserted_at > fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') AND {_MINE}
GROUP BY inserted_at
ORDER BY inserted_at"""
_RUNS = f"""
SELECT DISTINCT run_id
FROM changed_runs
WHERE has({{at:Array(Int64)}}, toUnixTimestamp64Micro(inserted_at))
    AND inserted_at BETWEEN fromUnixTimestamp64Micro({{first:Int64}}, 'UTC')
        AND fromUnixTimestamp64Micro({{last:Int64}}, 'UTC')
    AND run_id != '' AND {_MINE}
UNION DISTINCT
SELECT run_id FROM raw_keys_by_run PREWHERE key IN
(
    SELECT sipHash64(subject, wait_id)
    FROM changed_runs
    WHERE has({{at:Array(Int64)}}, toUnixTimestamp64Micro(inserted_at)) AND run_id = ''
        AND inserted_at BETWEEN fromUnixTimestamp64Micro({{first:Int64}}, 'UTC')
            AND fromUnixTimestamp64Micro({{last:Int64}}, 'UTC')
)
WHERE {_MINE}"""
_READ = """
SELECT slot, toUnixTimestamp64Micro(max(at)) FROM raw_read_up_to
    WHERE slots = {slots:UInt32} GROUP BY slot"""
_FIRST = "SELECT toUnixTimestamp64Micro(min(inserted_at)) FROM changed_runs"


class News(NamedTuple):
    """Runs to write, and the notes about them: how many there are of each instant."""

    runs: Sequence[str]
    notes: Mapping[int, int]


class ChangedRuns:
    """The notes about the runs of some slots, each taken once its runs are written. One thread at a time.

    Notes become visible in another order than their instants, so the last two minutes are looked at again.
    """

    def __init__(self, client: Client, slots: int, mine: Collection[int]) -> None:
        self._client = client
        self._of = {"slots": slots, "mine": sorted(mine)}
        self._written: dict[int, int] = {}
        self._since = self._begin()
        #: The server's clock when `news` was last asked.
        self._asked_at = 0

    def news(self) -> News:
        """The next runs with new facts, at most about those of `NOTES` notes."""
        self._asked_at = int(str(self._client.command("SELECT toUnixTimestamp64Micro(now64(6))")))
        found = self._client.query(_NEW, parameters={"since": self._since, **self._of}).result_rows
        notes, taken = dict[int, int](), 0
        for at, count in found:
            if count > self._written.get(at, 0):
                notes[at] = count
                taken += count
                if taken >= NOTES:
                    break
        if not notes:
            return News([], {})
        asked = {"at": list(notes), "first": min(notes), "last": max(notes), **self._of}
        return News([run for (run,) in self._client.query(_RUNS, parameters=asked).result_rows], notes)

    def written(self, news: News) -> int:
        """The runs of these notes are written. Returns up to when all facts are, in microseconds.

        With `news` without notes: up to when `news` was asked.
        """
        self._written.update(news.notes)
        reached = max(news.notes) if news.notes else self._asked_at
        self._since = max(self._since, reached - OVERLAP)
        self._written = {at: count for at, count in self._written.items() if at > self._since}
        return reached

    def keep(self, reached: int) -> None:
        """Write down how far the rows follow the facts, for the next owner and for readers."""
        rows = [[self._of["slots"], slot, reached] for slot in self._of["mine"]]  # type: ignore[attr-defined]
        values = ", ".join(
            f"({slots}, {slot}, fromUnixTimestamp64Micro({at}, 'UTC'))" for slots, slot, at in rows
        )
        self._client.command(f"INSERT INTO raw_read_up_to (slots, slot, at) VALUES {values}")

    def _begin(self) -> int:
        """Where the owner before has come to; else the oldest note there is."""
        found = dict(self._client.query(_READ, parameters={"slots": self._of["slots"]}).result_rows)
        oldest = int(str(self._client.command(_FIRST) or 0)) - 1
        reached = [found.get(slot) for slot in self._of["mine"]]  # type: ignore[attr-defined]
        known = [at for at in reached if at is not None]
        return max(oldest, min(known) - OVERLAP) if known and len(known) == len(reached) else oldest


__all__ = ["BATCH", "OVERLAP", "ChangedRuns", "News"]

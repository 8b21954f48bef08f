"""Writes the complete rows of runs: claims where they will stand, reads the facts, writes.

Several writers may write one run at once, at any speed, and stop anywhere: see docs/decisions/0024.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from upshot.processors.materialize.facts import GONE, IDS, READ, ROWS, STARTED
from upshot.processors.materialize.reading import open_session
from upshot.processors.materialize.sources import COPIES, FACTS, FactSources, read_sql
from upshot.settings import Settings

#: A version is a number, and in its low bits who writes: no two writings have one version.
_WRITER_BITS = 16
_WRITERS = 1 << _WRITER_BITS
#: Numbers of writers that read copies: below all others, so that of two claims made at once the writer
#: who reads the facts themselves counts.
_COPYING = 256

_WANTED_ALIASES = """
INSERT INTO wanted
SELECT DISTINCT other FROM raw_alias_pairs
PREWHERE run_id IN (SELECT run_id FROM wanted) WHERE NOT of_trace"""
#: What several runs may share; an index of the table has this very expression.
_SHARED = "if(link = 0, key, link)"
#: Runs that say an id of the wanted ones.
_SHARING = f"""
SELECT DISTINCT arrayJoin(runs) AS run_id
FROM
(
    SELECT groupUniqArray(run_id) AS runs FROM raw_keys_by_run
    PREWHERE {_SHARED} IN
        (SELECT {_SHARED} FROM raw_keys_by_run PREWHERE run_id IN (SELECT run_id FROM {{runs}}))
    GROUP BY {_SHARED}
    HAVING length(runs) > 1
)"""
#: The same for all runs at once, for the backfill: ids that several runs say, a part of all ids after the
#: other, each with so many keys about; the runs that say them; and of these who shares one with `own`.
_SHARED_AT_ONCE = 6_000_000
_SHARED_IDS = f"""
SELECT {_SHARED} AS id FROM raw_keys_by_run
PREWHERE {_SHARED} % {{parts}} = {{part}}
GROUP BY id
HAVING uniqUpTo(1)(run_id) > 1"""
_SHARED_RUNS = f"""
INSERT INTO shared
SELECT DISTINCT {_SHARED} AS id, run_id FROM raw_keys_by_run
PREWHERE {_SHARED} IN (SELECT id FROM shared_ids)"""
_SHARING_THEN = """
SELECT DISTINCT run_id FROM shared
WHERE id IN (SELECT id FROM shared WHERE run_id IN (SELECT run_id FROM own))"""
#: With more of these every piece reads the keys.
_MOST_SHARED = 5_000_000
#: How many runs of a table aren't wanted.
_OTHERS = "SELECT count() FROM {runs} WHERE run_id NOT IN (SELECT run_id FROM wanted)"
_CLAIM = f"""
INSERT INTO raw_claims (run_hash, place, version)
SELECT
    sipHash64(wanted.run_id) AS run_hash,
    if(
        isNull(run.place) OR run.place = 0, toDateTime64(0, 6, 'UTC'),
        fromUnixTimestamp64Micro(assumeNotNull(run.place), 'UTC')
    ) AS place,
    bitShiftLeft(bitShiftRight(ifNull(claim.top, 0), {_WRITER_BITS}) + 1, {_WRITER_BITS})
        + {{writer:UInt64}} AS version
FROM (SELECT DISTINCT run_id FROM wanted) AS wanted
LEFT ANY JOIN
(
    SELECT run_id, toUnixTimestamp64Micro({STARTED}) AS place
    FROM raw_runs FINAL
    PREWHERE run_id IN (SELECT run_id FROM wanted)
    WHERE run_id NOT IN (SELECT run_id FROM raw_run_aliases WHERE run_id IN (SELECT run_id FROM wanted))
) AS run ON run.run_id = wanted.run_id
LEFT ANY JOIN
(
    SELECT run_hash, max(version) AS top
    FROM raw_claims
    WHERE run_hash IN (SELECT sipHash64(run_id) FROM wanted)
    GROUP BY run_hash
) AS claim ON claim.run_hash = sipHash64(wanted.run_id)"""
#: The claims as they stand now: only who has the highest writes.
_BATCH = f"""
SELECT wanted.run_id AS run_id, claim.place AS place, claim.own AS version, claim.others AS others,
       empty(claim.others) AND bitShiftRight(claim.own, {_WRITER_BITS}) = 1 AS fresh,
       claim.own = claim.top AS ours
FROM (SELECT DISTINCT run_id FROM wanted) AS wanted
INNER JOIN
(
    SELECT
        run_hash, max(version) AS top,
        maxIf(version, bitAnd(version, {_WRITERS - 1}) = {{writer:UInt64}}) AS own,
        argMaxIf(raw_claims.place, version, bitAnd(version, {_WRITERS - 1}) = {{writer:UInt64}}) AS place,
        arrayFilter(one -> one != place, groupUniqArray(raw_claims.place)) AS others
    FROM raw_claims
    WHERE run_hash IN (SELECT sipHash64(run_id) FROM wanted)
    GROUP BY run_hash
) AS claim ON claim.run_hash = sipHash64(wanted.run_id)"""


class Written(NamedTuple):
    """How many runs were written, and the runs that another writer claimed meanwhile: to be tried again."""

    runs: int
    contended: Sequence[str]


class Writer:
    """Writes rows of runs over a session of its own. One thread at a time.

    Every method raises clickhouse-connect's errors; whatever was done until then may be done again.
    `at` is called with the name of each point at which a writer may stop: for tests.
    """

    def __init__(self, settings: Settings, at: Callable[[str], None] = lambda point: None) -> None:
        self.settings = settings
        self._at = at
        self._writer = _COPYING + secrets.randbelow(_WRITERS - _COPYING)
        self._copying = secrets.randbelow(_COPYING)
        self._client: Client | None = None
        #: Whether the session has what several runs say; None before anybody looked.
        self._knows_shared: bool | None = None
        self._columns: dict[str, str] = {}

    def write(self, runs: Sequence[str]) -> Written:
        """Write the rows of these runs, and of runs that share facts with them."""
        client = self._session()
        client.command("CREATE OR REPLACE TEMPORARY TABLE wanted (run_id String) ENGINE = Memory")
        client.insert("wanted", [[run] for run in runs], column_names=["run_id"])
        client.command(_WANTED_ALIASES)
        self._temporary("sharers", _SHARING.format(runs="wanted"))
        share_with_others = bool(client.command(_OTHERS.format(runs="sharers")))
        client.command("INSERT INTO wanted SELECT run_id FROM sharers")
        client.command(_WANTED_ALIASES)
        claimed = self._claim(self._writer)
        self._write_batch("ours", FACTS, is_closed=not share_with_others)
        return claimed

    def write_range(self, first: str, last: str) -> Written:
        """Write the rows of all runs from `first` up to `last`, not included; empty: no end.

        Scores and waits of runs that nobody claimed before are read from the backfill's copies, and whoever
        shares an id with them is looked up once for all: a writer who writes such a run for a newer fact
        claims it later, and counts. The other runs are read as in `write`.
        """
        client = self._session()
        sharing = _SHARING_THEN if self._shared_are_known() else _SHARING.format(runs="own")
        bound = "run_id >= {first:String}" + (" AND run_id < {last:String}" if last else "")
        parts = (
            "raw_runs",
            "raw_keys_by_run",
            "raw_exposures",
            "raw_carried_exposures",
            "raw_alias_pairs",
        )
        every = " UNION DISTINCT ".join(f"SELECT run_id FROM {table} WHERE {bound}" for table in parts)
        client.command(
            f"CREATE OR REPLACE TEMPORARY TABLE wanted ENGINE = Memory AS {every}",
            parameters={"first": first, "last": last},
        )
        claimed = self._claim(self._copying)
        self._write_batch("ours AND fresh", COPIES, sharing)
        if client.command("SELECT count() FROM claims WHERE ours AND NOT fresh"):
            self._write_batch("ours AND NOT fresh", FACTS)
        return claimed

    def close(self) -> None:
        """End the session."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _session(self) -> Client:
        if self._client is None:
            self._client = open_session(self.settings)
        return self._client

    def _claim(self, writer: int) -> Written:
        """Claim the wanted runs: those that are ours by then, counted, and those that aren't."""
        client = self._session()
        self._at("begin")
        client.command(_CLAIM, parameters={"writer": writer})
        self._at("claimed")
        self._temporary("claims", _BATCH, {"writer": writer})
        contended = [run for (run,) in client.query("SELECT run_id FROM claims WHERE NOT ours").result_rows]
        return Written(int(str(client.command("SELECT count() FROM claims WHERE ours"))), contended)

    def _shared_are_known(self) -> bool:
        """Whether the session has the ids that several runs say; looks them up where it hasn't."""
        client = self._session()
        if self._knows_shared is False or (
            self._knows_shared and client.command("EXISTS TEMPORARY TABLE shared")
        ):
            return self._knows_shared
        client.command("CREATE OR REPLACE TEMPORARY TABLE shared (id UInt64, run_id String) ENGINE = Memory")
        keys = int(str(client.command("SELECT count() FROM raw_keys_by_run")))
        parts = 1 + keys // _SHARED_AT_ONCE
        for part in range(parts):
            self._temporary("shared_ids", _SHARED_IDS.format(parts=parts, part=part))
            if client.command("SELECT count() FROM shared_ids"):
                client.command(_SHARED_RUNS)
        self._knows_shared = int(str(client.command("SELECT count() FROM shared"))) <= _MOST_SHARED
        if not self._knows_shared:
            client.command("DROP TEMPORARY TABLE shared")
        return self._knows_shared

    def _write_batch(
        self,
        condition: str,
        sources: FactSources,
        sharing: str = _SHARING.format(runs="own"),
        *,
        is_closed: bool = False,
    ) -> None:
        """Write the rows of the claimed runs under the condition, scores and waits read from `sources`.

        `sharing` finds the runs that say an id of them; `is_closed`: no other run says one of the wanted.
        """
        client = self._session()
        self._temporary("batch", f"SELECT * EXCEPT ours FROM claims WHERE {condition}")
        for name, select in IDS:
            self._temporary(name, select)
        if is_closed and not client.command(_OTHERS.format(runs="own")):
            self._temporary("scope", "SELECT DISTINCT run_id FROM wanted")
        else:
            self._temporary("scope", sharing)
            client.command("INSERT INTO scope SELECT run_id FROM own")
        for name, select in (*sources.before, *READ):
            self._temporary(name, read_sql(select, sources))
        self._at("read")
        if client.command("SELECT count() FROM batch WHERE NOT fresh"):
            self._insert(GONE)
        self._at("gone")
        self._insert(ROWS)
        self._at("written")

    def _temporary(self, name: str, select: str, parameters: dict[str, int] | None = None) -> None:
        self._session().command(
            f"CREATE OR REPLACE TEMPORARY TABLE {name} ENGINE = Memory AS {select}", parameters=parameters
        )

    def _insert(self, selects: Sequence[tuple[str, str]]) -> None:
        for table, select in selects:
            self._session().command(f"INSERT INTO {table} {self._columns_of(select)} {select}")
            self._at(table)

    def _columns_of(self, select: str) -> str:
        """The names of the columns of an answer, in brackets."""
        if select not in self._columns:
            names = [row[0] for row in self._session().query(f"DESCRIBE ({select})").result_rows]
            self._columns[select] = "(" + ", ".join(name.rpartition(".")[2] for name in names) + ")"
        return self._columns[select]


__all__ = ["Writer", "Written"]

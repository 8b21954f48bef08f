"""Where the facts of a batch are read: the tables of facts, or the backfill's copies of them by run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from upshot.processors.materialize.answers import answers_sql
from upshot.processors.materialize.facts import usage_sql

_IN_SCOPE = "run_id IN (SELECT run_id FROM scope)"
_IN_BATCH = "run_id IN (SELECT run_id FROM batch)"
#: No revision is read where no run is exposed.
_IN_EXPOSED = "run_id IN (SELECT run_id FROM scope WHERE (SELECT count() FROM exposed) > 0)"
#: Of one key the row that counts, as where ClickHouse merges.
_LATEST = "ORDER BY precedence DESC LIMIT 1 BY score_id, as_kind"
_WAITS = "ORDER BY row_version DESC LIMIT 1 BY subject, wait_id"
_REVISIONS = "ORDER BY row_version DESC LIMIT 1 BY score_id, fact_id"
_OF_RUN = "* EXCEPT (input, output)"


class FactSources(NamedTuple):
    """Where the facts of a batch are read.

    `before`: temporary tables that come before those of `facts.READ`, by name; `texts`: what stands there for
    `{latest}`, `{waits}`, `{revisions}` and `{runs}`.
    """

    before: tuple[tuple[str, str], ...]
    texts: Mapping[str, str]


def _each(table: str, condition: str, order: str) -> str:
    """Rows of a table in another order than that of runs.

    `FINAL` would read each granule that may have the key of a row of the batch: nearly all, since the ids of
    new scores lie anywhere between those of old ones.
    """
    return f"(SELECT * FROM {table} PREWHERE {condition} {order})"


def _twice(table: str, condition: str, key: str) -> str:
    """The keys that several rows have: few, and only their rows need an order."""
    return f"SELECT {key} AS id FROM {table} PREWHERE {condition} GROUP BY id HAVING count() > 1"


def _once_or_merged(once: str, key: str, merged: str) -> str:
    """Rows whose keys stand once, with the `merged` ones of those that stand twice."""
    return f"({once} LIMIT 1 BY {key} UNION ALL {merged})"


#: The facts themselves.
FACTS = FactSources(
    (),
    MappingProxyType(
        {
            "latest": _each("raw_latest_by_kind", _IN_SCOPE, _LATEST),
            "waits": _each("raw_waits", _IN_SCOPE, _WAITS),
            "revisions": _each("raw_scores", _IN_EXPOSED, _REVISIONS),
            "runs": f"(SELECT {_OF_RUN} FROM raw_runs FINAL PREWHERE {_IN_BATCH})",
        }
    ),
)
_SCORE, _RUN = "sipHash64(score_id, as_kind)", "sipHash64(run_id)"
#: The backfill's copies of scores and waits by run. To sort a piece, or to merge its runs, takes several
#: times as much as to read it, and is needed for few rows.
COPIES = FactSources(
    (
        ("twice_latest", _twice("raw_copied_latest", _IN_SCOPE, _SCORE)),
        ("twice_runs", _twice("raw_runs", _IN_BATCH, _RUN)),
    ),
    MappingProxyType(
        {
            "latest": _once_or_merged(
                f"SELECT * FROM raw_copied_latest PREWHERE {_IN_SCOPE} "
                f"WHERE {_SCORE} NOT IN (SELECT id FROM twice_latest)",
                "score_id, as_kind",
                "SELECT * FROM "
                + _each(
                    "raw_copied_latest", f"{_IN_SCOPE} AND {_SCORE} IN (SELECT id FROM twice_latest)", _LATEST
                ),
            ),
            "waits": _each("raw_copied_waits", _IN_SCOPE, _WAITS),
            "revisions": _each("raw_copied_revisions", _IN_EXPOSED, _REVISIONS),
            "runs": _once_or_merged(
                f"SELECT {_OF_RUN} FROM raw_runs PREWHERE {_IN_BATCH} "
                f"WHERE {_RUN} NOT IN (SELECT id FROM twice_runs)",
                "run_id",
                f"SELECT {_OF_RUN} FROM raw_runs FINAL "
                f"PREWHERE {_IN_BATCH} AND {_RUN} IN (SELECT id FROM twice_runs)",
            ),
        }
    ),
)


def read_sql(select: str, sources: FactSources) -> str:
    """A statement of `READ`, from the facts or from copies of them."""
    parts = {"usage": usage_sql(), "answers": answers_sql(), **sources.texts}
    for name, text in parts.items():
        select = select.replace(f"{{{name}}}", text)
    return select


__all__ = ["COPIES", "FACTS", "FactSources", "read_sql"]

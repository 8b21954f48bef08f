"""Where the facts of a batch are read: the tables of facts, or the backfill's copies of them by run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from upshot.processors.materialize.answers import answers_sql
from upshot.processors.materialize.facts import usage_sql

_OF_SCOPE = "PREWHERE run_id IN (SELECT run_id FROM scope)"
#: No revision is read where no run is exposed.
_OF_EXPOSED = "PREWHERE run_id IN (SELECT run_id FROM scope WHERE (SELECT count() FROM exposed) > 0)"
#: What stands for `{latest}`, `{waits}` and `{revisions}`: of one key the row that counts, as where
#: ClickHouse merges. `FINAL` would read each granule that may have the key of a row of the batch: nearly all,
#: since the ids of new scores lie anywhere between those of old ones.
_READ: Mapping[str, str] = MappingProxyType(
    {
        "latest": f"""
(
    SELECT * FROM {{table}} {_OF_SCOPE}
    ORDER BY precedence DESC LIMIT 1 BY score_id, as_kind
)""",
        "waits": f"""
(
    SELECT * FROM {{table}} {_OF_SCOPE}
    ORDER BY row_version DESC LIMIT 1 BY subject, wait_id
)""",
        "revisions": f"""
(
    SELECT * FROM {{table}} {_OF_EXPOSED}
    ORDER BY row_version DESC LIMIT 1 BY score_id, fact_id
)""",
    }
)


def _from(latest: str, waits: str, revisions: str) -> Mapping[str, str]:
    tables = {"latest": latest, "waits": waits, "revisions": revisions}
    return MappingProxyType({name: text.format(table=tables[name]) for name, text in _READ.items()})


#: The facts themselves, whose order is another; or the backfill's copies of them by run.
FACTS = _from("raw_latest_by_kind", "raw_waits", "raw_scores")
COPIES = _from("raw_copied_latest", "raw_copied_waits", "raw_copied_revisions")


def read_sql(select: str, sources: Mapping[str, str]) -> str:
    """A statement of `READ`, from the facts or from copies of them."""
    parts = {"usage": usage_sql(), "answers": answers_sql(), **sources}
    for name, text in parts.items():
        select = select.replace(f"{{{name}}}", text)
    return select


__all__ = ["COPIES", "FACTS", "read_sql"]

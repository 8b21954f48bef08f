"""Where the facts of a batch are read: the tables of facts, or the backfill's copies of them by run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from upshot.processors.materialize.answers import answers_sql
from upshot.processors.materialize.facts import usage_sql

_OF_SCOPE = "PREWHERE run_id IN (SELECT run_id FROM scope)"
#: No revision is read where no run is exposed.
_OF_EXPOSED = "PREWHERE run_id IN (SELECT run_id FROM scope WHERE (SELECT count() FROM exposed) > 0)"
#: What stands for `{latest}`, `{waits}` and `{revisions}`: the facts themselves, whose order is another.
FACTS: Mapping[str, str] = MappingProxyType(
    {
        "latest": f"raw_latest_by_kind FINAL {_OF_SCOPE}",
        "waits": f"raw_waits FINAL {_OF_SCOPE}",
        "revisions": f"raw_scores FINAL {_OF_EXPOSED}",
    }
)
#: Or the backfill's copies of them by run, each row perhaps several times: of one key the highest counts, as
#: where ClickHouse merges the facts.
COPIES: Mapping[str, str] = MappingProxyType(
    {
        "latest": f"""
(
    SELECT * FROM raw_copied_latest {_OF_SCOPE}
    ORDER BY precedence DESC LIMIT 1 BY score_id, as_kind
)""",
        "waits": f"""
(
    SELECT * FROM raw_copied_waits {_OF_SCOPE}
    ORDER BY row_version DESC LIMIT 1 BY subject, wait_id
)""",
        "revisions": f"""
(
    SELECT * FROM raw_copied_revisions {_OF_EXPOSED}
    ORDER BY row_version DESC LIMIT 1 BY score_id, fact_id
)""",
    }
)


def read_sql(select: str, sources: Mapping[str, str]) -> str:
    """A statement of `READ`, from the facts or from copies of them."""
    parts = {"usage": usage_sql(), "answers": answers_sql(), **sources}
    for name, text in parts.items():
        select = select.replace(f"{{{name}}}", text)
    return select


__all__ = ["COPIES", "FACTS", "read_sql"]

"""A cluster: the migrations' statements for it, and the tables over its shards. Pure.

Each shard has a database of its own, with every table and view of the migrations, for the facts of its runs.
The cluster's database has the same names over all shards: rows written there go to the shard of their run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from upshot.clickhouse_address import SHARD
from upshot.settings import Settings

#: Tables that every shard has whole: few rows, which the views of each shard need.
EVERYWHERE = frozenset({"raw_cancellations", "raw_experiments", "raw_alert_rules"})
#: Views over the tables of `EVERYWHERE` alone.
_OF_EVERYWHERE = frozenset(
    {"cancellations", "experiments", "experiment_changes", "experiment_phases", "alert_rules"}
)
#: What rows are spread by, where they have no run.
_KEYS = {
    "raw_outcomes": "subject",
    "raw_followups": "followup_id",
    "raw_alerts": "alert_id",
    "raw_notices": "alert_id",
    "raw_dead_letters": "dead_letter_id",
}
#: Views that bring together what lies on several shards: they read the cluster's tables.
_JOINING = frozenset({"unmatched_outcomes"})
_OPENINGS = re.compile(
    r"^(CREATE DATABASE IF NOT EXISTS|CREATE TABLE IF NOT EXISTS|CREATE OR REPLACE TABLE|"
    r"CREATE OR REPLACE VIEW|CREATE MATERIALIZED VIEW IF NOT EXISTS|ALTER TABLE|DROP VIEW IF EXISTS|"
    r"DROP TABLE IF EXISTS) ([\w.`]+)"
)
_IN_SELECT = re.compile(r"\b(NOT IN|IN) \(SELECT")
#: On a line of its own, as in the migrations.
_ENGINE = re.compile(r"^ENGINE = ", re.MULTILINE)


class Relation(NamedTuple):
    """A table or view of a shard."""

    name: str
    is_view: bool
    columns: Sequence[str]


def spread(settings: Settings, statement: str) -> str:
    """The statement as the settings want it: `ON CLUSTER` and with replicated tables, or unchanged."""
    if not settings.clickhouse_cluster or not settings.clickhouse_replicated:
        return statement
    statement = _OPENINGS.sub(rf"\1 \2 ON CLUSTER '{settings.clickhouse_cluster}'", statement, count=1)
    return _ENGINE.sub("ENGINE = Replicated", statement, count=1)


def over_shards(settings: Settings, relation: Relation) -> str | None:
    """The statement that makes a shard's table or view readable in the cluster's database.

    None for views made by the migrations' own statements (`reads_cluster`).
    """
    name, shard = relation.name, f"`{settings.clickhouse.database}{SHARD}`"
    if reads_cluster(name):
        return None
    if name in EVERYWHERE or name in _OF_EVERYWHERE:
        return spread(settings, f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {shard}.{name}")
    cluster, database = settings.clickhouse_cluster, settings.clickhouse.database
    key = "" if relation.is_view else f", {_sharding_key(relation)}"
    engine = f"Distributed('{cluster}', '{database}{SHARD}', '{name}'{key})"
    return spread(settings, f"CREATE OR REPLACE TABLE {name} AS {shard}.{name} ENGINE = {engine}")


def reads_cluster(view: str) -> bool:
    """Whether the view stands in the cluster's database itself, over the tables there."""
    return view in _JOINING


def for_cluster(settings: Settings, view: str) -> str:
    """The migrations' statement of such a view: what it compares with is gathered from all shards."""
    return spread(settings, _IN_SELECT.sub(r"GLOBAL \1 (SELECT", view))


def _sharding_key(relation: Relation) -> str:
    column = _KEYS.get(relation.name) or ("run_id" if "run_id" in relation.columns else "")
    return f"sipHash64({column})" if column else "rand()"


__all__ = ["EVERYWHERE", "Relation", "for_cluster", "over_shards", "reads_cluster", "spread"]

"""The list of runs: filters, one screen by its key, and runs over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite
from typing import NamedTuple

from upshot.errors import ConfigurationError
from upshot.insights.pages.query import IDS, Conditions, PageQuery, Row, ids_of
from upshot.insights.reader import Reader

_OPERATORS = (">=", "<=", "!=", ">", "<", "=")
_WORDS = {"true": 1.0, "false": 0.0}
_COLUMNS = """\
run_id, agent, version, status, origin, model, started_at AS at, latency_seconds, steps, failed_steps,
    ifNull(input_tokens, 0) + ifNull(output_tokens, 0) AS tokens, cost_usd,
    score_names, score_kinds, score_values, toString(run_key) AS key"""
#: A start that nobody told stands as 1970.
_KNOWN_START = "started_at > toDateTime64('1971-01-01 00:00:00', 6, 'UTC')"


class ScoreCondition(NamedTuple):
    """`merged:false`, `stars:>=4` or `merged:pending`."""

    name: str
    operator: str
    value: float

    @classmethod
    def parse(cls, text: str) -> ScoreCondition:
        """Raises ConfigurationError, saying how a condition is written."""
        name, _, condition = text.rpartition(":")
        condition = condition.strip()
        if name and condition == "pending":
            return cls(name, "pending", 0.0)
        operator = next((each for each in _OPERATORS if condition.startswith(each)), "=")
        bare = condition.removeprefix(operator).strip()
        try:
            value = _WORDS.get(bare.lower()) if bare.lower() in _WORDS else float(bare)
        except ValueError:
            value = None
        if not name or value is None or not isfinite(value):
            raise ConfigurationError(
                "a score's condition is written name:true, name:false, name:pending or name:>=4, "
                f"not {text[:100]!r}"
            )
        return cls(name, operator, value)


@dataclass(frozen=True)
class RunFilter:
    """Which runs are listed; empty fields don't restrict."""

    agent: str = ""
    status: str = ""
    origin: str = ""
    version: str = ""
    session: str = ""
    scores: Sequence[ScoreCondition] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: Experiment and variant; an empty variant means any.
    variant: tuple[str, str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: The last run of the screen before: its start and its key.
    after: tuple[datetime, str] | None = None


def runs_query(wanted: RunFilter) -> PageQuery:
    """All runs of a filter, the latest first."""
    conditions, in_table = _conditions(wanted), _conditions(wanted, of_table=True)
    found = conditions.where()
    select = f"SELECT {_COLUMNS}\nFROM scored_runs"
    order = "\nORDER BY started_at DESC, run_key DESC"
    # The table has rows of one run several times until they are merged, and is read in its order.
    oldest = (
        f"(SELECT min(started_at) FROM (SELECT started_at FROM raw_scored_runs{in_table.where()}\n"
        "    ORDER BY started_at DESC LIMIT 2 * {rows:UInt64}))"
    )
    beginning = f"{select}{found or chr(10) + 'WHERE true'}\n    AND started_at >= {oldest}{order}"
    return PageQuery(f"{select}{found}{order}", conditions.parameters, beginning)


def runs_over_time(wanted: RunFilter, seconds: int) -> PageQuery:
    """Counts of all runs of a filter by time and status; the place in the list doesn't matter."""
    conditions = _conditions(replace(wanted, after=None))
    conditions.add(_KNOWN_START)
    sql = (
        "SELECT toStartOfInterval(started_at, INTERVAL {bucket:UInt32} SECOND) AS bucket, status, "
        f"count() AS runs\nFROM scored_runs{conditions.where()}\n"
        "GROUP BY bucket, status\nORDER BY bucket, status"
    )
    return PageQuery(sql, conditions.parameters | {"bucket": seconds})


def reach_of_runs(wanted: RunFilter) -> PageQuery:
    """First and last start and the number of all runs of a filter."""
    conditions = _conditions(replace(wanted, after=None))
    sql = (
        f"SELECT count() AS runs, countIf({_KNOWN_START}) AS started, "
        f"minIf(started_at, {_KNOWN_START}) AS first_at, max(started_at) AS last_at\n"
        f"FROM scored_runs{conditions.where()}"
    )
    return PageQuery(sql, conditions.parameters)


def pending_of_runs(reader: Reader, run_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The pending waits of the runs of one screen, by run id."""
    found: dict[str, list[Row]] = {run: [] for run in run_ids}
    if run_ids:
        for row in reader.query(_PENDING, {"ids": ids_of(run_ids)}).objects():
            found[row.pop("run_id")].append(row)
    return found


def scores_of_row(row: Row) -> list[Row]:
    """The scores of a row of the list."""
    columns = (row["score_names"], row["score_kinds"], row["score_values"])
    return [
        {"name": name, "kind": kind, "value": value, "late": False}
        for name, kind, value in zip(*columns, strict=True)
    ]


#: Open waits are in the order of their deadlines: the keys of runs tell these, once they are written for all.
_PENDING = f"""\
SELECT run_id, name, subject, deadline, overdue, count() OVER (PARTITION BY run_id) AS of_run
FROM open_waits
WHERE run_id IN {IDS}
    AND
    (
        deadline IN
        (
            SELECT deadline FROM raw_keys_by_run
            WHERE kind = 'wait'
                AND (run_id IN {IDS} OR run_id IN (SELECT other FROM raw_alias_pairs WHERE run_id IN {IDS}))
        )
        OR (SELECT countIf(work = 'views' AND done) FROM raw_backfill) = 0
    )
ORDER BY run_id, deadline, name
LIMIT 10 BY run_id"""

#: What the filters of the page offer.
RUN_CHOICES = PageQuery(
    "SELECT groupUniqArray(200)(toString(agent)) AS agents, groupUniqArray(50)(toString(status)) AS statuses "
    "FROM scored_runs"
)
#: Names of the attributes of the last runs.
ATTRIBUTE_NAMES = PageQuery("""\
SELECT DISTINCT toString(arrayJoin(mapKeys(attributes))) AS name
FROM scored_runs
WHERE started_at >=
    (SELECT min(started_at) FROM (SELECT started_at FROM raw_scored_runs ORDER BY started_at DESC LIMIT 1000))
ORDER BY name
LIMIT 500""")


def _conditions(wanted: RunFilter, of_table: bool = False) -> Conditions:
    conditions = Conditions()
    for column, value in (
        ("agent", wanted.agent),
        ("status", wanted.status),
        ("origin", wanted.origin),
        ("version", wanted.version),
        ("session_id", wanted.session),
    ):
        if value:
            conditions.add(f"{column} = {{{column}:String}}", **{column: value})
    if wanted.since:
        conditions.add("started_at >= {since:DateTime64(6, 'UTC')}", since=wanted.since)
    if wanted.until:
        conditions.add("started_at < {until:DateTime64(6, 'UTC')}", until=wanted.until)
    if wanted.after:
        # Two conditions: the index serves the first.
        conditions.add("started_at <= {after_at:DateTime64(6, 'UTC')}", after_at=wanted.after[0])
        if not of_table:
            conditions.add(
                "(started_at, run_key) < ({after_at:DateTime64(6, 'UTC')}, {after_key:UInt128})",
                after_key=wanted.after[1],
            )
    for number, (name, value) in enumerate(wanted.attributes.items()):
        conditions.add(
            f"attributes[{{attribute{number}:String}}] = {{is{number}:String}}",
            **{f"attribute{number}": name, f"is{number}": value},
        )
    for number, score in enumerate(wanted.scores):
        text, parameters = _scored(number, score)
        conditions.add(text, **parameters)
    if wanted.variant:
        experiment, variant = wanted.variant
        conditions.add(
            "arrayExists((one, given) -> one = {experiment:String} AND ({variant:String} = '' OR given = "
            "{variant:String}), experiments, variants)",
            experiment=experiment,
            variant=variant,
        )
    return conditions


def _scored(number: int, score: ScoreCondition) -> tuple[str, dict[str, object]]:
    name, value = f"score{number}", f"value{number}"
    if score.operator == "pending":
        return f"run_id IN (SELECT run_id FROM open_waits WHERE name = {{{name}:String}})", {name: score.name}
    return (
        f"arrayExists((one, number) -> one = {{{name}:String}} AND number {score.operator} "
        f"{{{value}:Float64}}, score_names, score_values)",
        {name: score.name, value: score.value},
    )


__all__ = [
    "ATTRIBUTE_NAMES",
    "RUN_CHOICES",
    "RunFilter",
    "ScoreCondition",
    "pending_of_runs",
    "reach_of_runs",
    "runs_over_time",
    "runs_query",
    "scores_of_row",
]

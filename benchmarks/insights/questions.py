"""The questions, each with its goal: CPU seconds, seconds on an idle machine, MB."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.insights.data import STORY_OF
from benchmarks.insights.pages import cookbook, panels
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.pages.home import EXPERIMENTS, HOME_COUNTS, LATEST_SCORES, SCORES_A_DAY
from upshot.insights.pages.runs import RunFilter, runs_query

_WEEK = "started_at > toDateTime64('2026-11-21 12:00:00', 6, 'UTC')"
_DAY = "started_at > toDateTime64('2026-11-27 12:00:00', 6, 'UTC')"


class Goal(NamedTuple):
    """The most that a question may take."""

    cpu: float = 2.0
    seconds: float = 1.0
    megabytes: float = 512.0


class Asked(NamedTuple):
    """A question of the benchmark."""

    name: str
    sql: str
    goal: Goal = Goal()
    parameters: Mapping[str, str] = MappingProxyType({})


_RUNS = runs_query(RunFilter())
_FAILED = runs_query(RunFilter(status="failed", agent="agent-3"))
#: Of named queries whose defaults ask for nothing that the data has.
_GIVEN = {
    "best-model-by-segment": {"attribute": "segment", "name": "merged"},
    "judge-against-outcome": {"judge": "quality", "outcome": "merged"},
    "story-of-run": {"run_id": STORY_OF},
    "history-of-run": {"run_id": STORY_OF},
    "about-subject": {"subject": "pr:acme/web#77"},
}
_GOALS = {"story-of-run": Goal(seconds=0.1), "history-of-run": Goal(seconds=0.1)}

ASKED = (
    Asked(
        "which model wins by segment",
        "SELECT attributes['segment'] AS segment, model, count(), avg(value) FROM score_rows "
        "WHERE name = 'merged' AND origin = 'live' GROUP BY segment, model ORDER BY segment, model",
    ),
    Asked(
        "score against latency",
        "SELECT floor(latency_seconds / 5) * 5 AS seconds, count(), avg(value) FROM score_rows "
        "WHERE name = 'merged' AND origin = 'live' GROUP BY seconds ORDER BY seconds",
    ),
    Asked(
        "slow runs of a week",
        f"SELECT model, attributes['segment'] AS segment, count() FROM scored_runs WHERE {_WEEK} "
        "AND latency_seconds > 30 GROUP BY model, segment ORDER BY count() DESC",
    ),
    Asked(
        "cost per success",
        "SELECT model, sum(cost_usd) / sum(value) FROM score_rows WHERE name = 'merged' "
        "GROUP BY model ORDER BY model",
    ),
    Asked(
        "latest scores of a week",
        f"SELECT decided_at, name, value, run_id FROM score_rows WHERE {_WEEK} "
        "ORDER BY decided_at DESC LIMIT 20",
    ),
    Asked("scores by agent", "SELECT name, agent, count(), avg(value) FROM score_rows GROUP BY name, agent"),
    Asked(
        "experiment",
        "SELECT variant, count(), avg(score_values[indexOf(score_names, 'merged')]) FROM exposure_rows "
        "WHERE experiment = 'prompt-7' GROUP BY variant",
        Goal(seconds=2.0),
    ),
    Asked("pending by deadline", "SELECT * FROM open_waits ORDER BY deadline, run_key LIMIT 100"),
    Asked("pending, counted", "SELECT count() FROM open_waits"),
    Asked(
        "runs of a day",
        f"SELECT run_id, status, model FROM scored_runs WHERE {_DAY} AND agent = 'agent-3' "
        "AND status = 'failed' ORDER BY started_at DESC LIMIT 50",
        Goal(seconds=0.1),
    ),
    Asked(
        "runs of all time",
        "SELECT run_id, status, model FROM scored_runs WHERE agent = 'agent-3' "
        "AND status = 'failed' ORDER BY started_at DESC LIMIT 50",
    ),
    Asked(
        "scores of a run",
        f"SELECT name, value, decided_at FROM score_revisions WHERE run_id = '{STORY_OF}'",
        Goal(seconds=0.1),
    ),
    Asked(
        "steps of a run",
        f"SELECT name, model, started_at FROM raw_steps FINAL PREWHERE run_id = '{STORY_OF}'",
        Goal(seconds=0.1),
    ),
    Asked("page: counts", HOME_COUNTS.sql, Goal(seconds=0.2)),
    Asked("page: latest scores", f"{LATEST_SCORES.sql} LIMIT 20"),
    Asked("page: scores a day", SCORES_A_DAY.sql),
    Asked("page: experiments", EXPERIMENTS.sql),
    Asked("page: runs", f"{_RUNS.beginning} LIMIT 51", parameters={"rows": "51"}),
    Asked(
        "page: failed runs", f"{_FAILED.beginning} LIMIT 51", parameters={"rows": "51", **_FAILED.parameters}
    ),
    *(
        Asked(f"--named {name}", query.sql, _GOALS.get(name, Goal()), query.parameters | _GIVEN.get(name, {}))
        for name, query in NAMED_QUERIES.items()
    ),
    *(Asked(title, sql) for title, sql in (*cookbook(), *panels())),
)

#: Questions about all of the facts themselves: about the past, revisions, and the way of a fact.
OF_FACTS = frozenset(
    (
        "page: counts",
        "--named latency",
        "--named scores-as-of",
        "--named unmatched-outcomes",
        "sql.md: Which outcomes had no wait?",
        "panel: Waits opened, scores decided",
    )
)

__all__ = ["ASKED", "OF_FACTS", "Asked", "Goal"]

"""What the results of an experiment cost ClickHouse, by the number of its exposures.

    python -m benchmarks.experiments.results [--exposures 1000000]

Starts an engine of its own in a temporary folder and fills the tables with runs of an experiment over 60
days: an exposure, a wait and a step each, and a score for 85 % of them. Then it reads a metric's population,
as `upshot experiments results` does, and prints how long this took.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import population
from upshot.insights.experiments.results import results
from upshot.insights.experiments.verdict import verdict
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF = BEGAN + timedelta(days=75)
SOLVED = PlannedMetric("solved", window=timedelta(days=7), grace=timedelta(hours=1))
PLAN = ExperimentPlan(
    "tone", "plain", (PlannedPhase("1", {"plain": 1.0, "warm": 1.0}),), (SOLVED,), planned=1_000_000
)
BLOCK = 1_000_000

_START = "toDateTime64('2026-01-01 00:00:00', 6, 'UTC')"
_AT = f"{_START} + toIntervalMillisecond(intHash64(number) % 5184000000) AS at"
_RUN = "hex(MD5(toString(number))) AS run_id"
#: Four users of five runs.
_USER = "intDiv(number, 5) * 4 + least(number % 5, 3)"
#: The columns, their values, and the share of the runs with such a row.
_FILL = {
    "raw_runs": (
        "run_id, agent, status, started_at, recorded_at",
        f"{_RUN}, tuple(at, 'support'), tuple(1, at, 'completed'), tuple(at, at), at",
        1.0,
    ),
    "raw_exposures": (
        "run_id, exposure_id, experiment, variant, phase, probability, unit, strategy, exposed_at, "
        "recorded_at, row_version",
        f"{_RUN}, concat('e', run_id), 'tone', if(intHash64({_USER}) % 2, 'warm', 'plain'), '1', 0.5, "
        f"concat('u', toString({_USER})), 'bucket', at, at, 1",
        1.0,
    ),
    "raw_waits": (
        "subject, wait_id, run_id, name, mode, rule, opened_at, since, deadline, recorded_at, row_version",
        f"concat('t:', run_id), concat('w', run_id), {_RUN}, 'solved', 'first', '{{}}', at, at, "
        "at + toIntervalDay(7), at, 1",
        1.0,
    ),
    "raw_scores": (
        "score_id, fact_id, run_id, name, value, kind, revision, reason, wait_id, occurred_at, decided_at, "
        "recorded_at, row_version, precedence",
        f"concat('s', run_id), concat('f', run_id), {_RUN}, 'solved', "
        "toFloat64(intHash64(number + 7) % 100 < 40), 'boolean', 1, 'outcome', concat('w', run_id), at, "
        "at + toIntervalHour(30), at + toIntervalHour(30), 1, 1",
        0.85,
    ),
    "raw_steps": (
        "run_id, step_id, attempt, name, kind, status, cost_usd, recorded_at, row_version",
        f"{_RUN}, 's', 1, 'draft', 'model', 'ok', 0.01 + (number % 7) / 1000, at, 1",
        1.0,
    ),
}


def fill(settings: Settings, exposures: int) -> None:
    """Fill the tables with that many runs."""
    with connect(settings) as client:
        for table, (columns, values, share) in _FILL.items():
            for begin in range(0, exposures, BLOCK):
                count = min(BLOCK, exposures - begin)
                client.command(
                    f"INSERT INTO {table} ({columns}) WITH {_AT} SELECT {values} "
                    f"FROM numbers({begin}, {count}) WHERE number % 100 < {share * 100}"
                )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=1_000_000)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="upshot-results-") as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        try:
            server.wait_ready(120)
            _measure(Settings(clickhouse_url=server.url), options.exposures)
        finally:
            server.stop()


def _measure(settings: Settings, exposures: int) -> None:
    migrate(settings)
    began = time.monotonic()
    fill(settings, exposures)
    print(f"filled with {exposures:,} exposures in {time.monotonic() - began:.0f} s")
    reader = Reader(settings)
    for name in ("first", "again"):
        began = time.monotonic()
        found = population(reader, PLAN, SOLVED, AS_OF)
        took = time.monotonic() - began
        print(f"{name}: {took:.2f} s; {verdict(results(PLAN, [found])).sentence}")


if __name__ == "__main__":
    main()

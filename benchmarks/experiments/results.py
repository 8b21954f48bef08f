"""What the results of an experiment cost ClickHouse, by the number of its exposures.

    python -m benchmarks.experiments.results [--exposures 1000000] [--merged] [--exact]

Starts an engine of its own in a temporary folder and fills `exposure_rows`, as the role `materialize` writes
it, with runs of an experiment in the order of time over 60 days: four users of five runs, a wait, a step with
a cost each, and an outcome for 85 % of them. Then it reads the results of a rate, and of the rate with a
guardrail, as `upshot experiments results` does, and what the experiment's page reads beside them. With
`--exact` the raw tables are filled, too, and the exact views are read for comparison. `--merged` merges the
parts of past months first. CPU seconds are those of the engine, and its memory the most that its process had.

Each question is asked three times, and the quickest counts. At ten million exposures results have a goal of
two seconds: what misses the goal is named at the end, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from clickhouse_connect.driver.client import Client

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import exact_population
from upshot.insights.experiments.reading import read_charted, read_results
from upshot.insights.experiments.results import Results
from upshot.insights.experiments.verdict import verdict
from upshot.insights.pages.experiments import units_query
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.backfill import Backfill
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

AS_OF = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=75)
SOLVED = PlannedMetric("solved", window=timedelta(days=7), grace=timedelta(hours=1))
COST = PlannedMetric("cost_usd", "guardrail", boolean=False, lower_is_better=True, margin=0.1)
PLAN = ExperimentPlan(
    "tone", "plain", (PlannedPhase("1", {"plain": 1.0, "warm": 1.0}),), (SOLVED, COST), planned=1_000_000
)
#: Rows of an insert: a busy machine writes so many within the client's patience.
BLOCK = 250_000
#: Seconds by the clock that results may take at ten million exposures.
GOAL = 2.0
GOAL_AT = 10_000_000

_AT = (
    "toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond("
    "intDiv(number * 5184000, {exposures}) * 1000000 + intHash64(number) % 3600000000) "
    "+ toIntervalDay(if(number % 5 = 4, 3, 0)) AS at, lower(hex(MD5(toString(number)))) AS this_run, "
    "intDiv(number, 5) * 4 + least(number % 5, 3) AS user, concat('user-', toString(user)) AS this_unit, "
    "if(intHash64(user) % 2, 'warm', 'plain') AS arm, number % 100 < 85 AS answered, "
    "toFloat64(intHash64(number + 7) % 100 < 40) AS solved, 0.01 + (number % 7) / 1000 AS cost, "
    "toDateTime64('2299-12-31 00:00:00', 6, 'UTC') AS ever, toDateTime64(0, 6, 'UTC') AS never"
)
_ROWS = {
    "raw_exposure_rows": (
        "experiment, started_at, exposure_key, run_id, variant, phase, probability, unit, unit_key, "
        "strategy, exposed_at, recorded_at, run_known, agent, status, origin, steps, cost_usd, subjects, "
        "answer_names, answer_began, answer_ended, answer_values, answer_causes, answer_occurred_at, place, "
        "row_version",
        "'tone', at, sipHash64(number), this_run, arm, '1', 0.5, this_unit, "
        "sipHash64(this_unit), 'bucket', at, at + toIntervalMillisecond(20), true, 'support', 'completed', "
        "'live', 1, cost, [sipHash64(number)], "
        "if(answered, ['solved', 'solved'], ['solved']), if(answered, [at, at + toIntervalHour(30)], [at]), "
        "if(answered, [at + toIntervalHour(30), ever], [ever]), if(answered, [NULL, solved], [NULL]), "
        "if(answered, ['open', 'outcome'], ['open']), "
        "if(answered, [never, at + toIntervalHour(30)], [never]), "
        "bitShiftLeft(toUInt64(toUnixTimestamp64Micro(at) + 2208988800000000), 11) "
        "+ bitAnd(cityHash64(this_run), 2047), 1",
        1.0,
    )
}
#: The columns, their values, and the share of the runs with such a row.
_RAW = {
    "raw_runs": (
        "run_id, agent, status, started_at, recorded_at",
        "this_run, tuple(at, 'support'), tuple(1, at, 'completed'), tuple(at, at), at",
        1.0,
    ),
    "raw_exposures": (
        "run_id, exposure_id, experiment, variant, phase, probability, unit, strategy, exposed_at, "
        "recorded_at, row_version",
        "this_run, concat('e', this_run), 'tone', arm, '1', 0.5, this_unit, 'bucket', at, at, 1",
        1.0,
    ),
    "raw_waits": (
        "subject, wait_id, run_id, name, mode, rule, opened_at, since, deadline, recorded_at, row_version",
        "concat('t:', this_run), concat('w', this_run), this_run, 'solved', 'first', '{}', at, at, "
        "at + toIntervalDay(7), at, 1",
        1.0,
    ),
    "raw_scores": (
        "score_id, fact_id, run_id, name, value, kind, revision, reason, wait_id, occurred_at, decided_at, "
        "recorded_at, row_version, precedence",
        "concat('s', this_run), concat('f', this_run), this_run, 'solved', solved, 'boolean', 1, 'outcome', "
        "concat('w', this_run), at, at + toIntervalHour(30), at + toIntervalHour(30), 1, 1",
        0.85,
    ),
    "raw_steps": (
        "run_id, step_id, attempt, name, kind, status, cost_usd, recorded_at, row_version",
        "this_run, 's', 1, 'draft', 'model', 'ok', cost, at, 1",
        1.0,
    ),
}


def fill(client: Client, tables: dict[str, tuple[str, str, float]], exposures: int) -> None:
    """Fill the tables with that many runs."""
    for table, (columns, values, share) in tables.items():
        for begin in range(0, exposures, BLOCK):
            count = min(BLOCK, exposures - begin)
            client.command(
                f"INSERT INTO {table} ({columns}) WITH {_AT.format(exposures=exposures)} SELECT {values} "
                f"FROM numbers({begin}, {count}) WHERE number % 100 < {share * 100}"
            )


def main() -> None:
    """Print the figures; exits with 1 where one missed its goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=1_000_000)
    parser.add_argument("--exact", action="store_true", help="also from the exact views")
    parser.add_argument("--merged", action="store_true", help="with each past month in one part")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="upshot-results-") as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        try:
            server.wait_ready(120)
            missed = _measure(server, Settings(clickhouse_url=server.url), options)
        finally:
            server.stop()
    for line in missed:
        print(f"missed: {line}", flush=True)
    sys.exit(bool(missed))


def _measure(server: ClickHouseServer, settings: Settings, options: argparse.Namespace) -> list[str]:
    migrate(settings)
    exposures, exact = options.exposures, options.exact
    with connect(settings) as client:
        if exact:
            fill(client, _RAW, exposures)
        else:
            backfill = Backfill(client, Writer(settings))
            while backfill.step():
                pass
        fill(client, _ROWS, exposures)
        if options.merged:
            _merge(client)
        while int(str(client.command("SELECT count() FROM system.merges"))):
            time.sleep(1)
        size = client.command(
            "SELECT sum(bytes_on_disk) / 1e6 FROM system.parts "
            "WHERE active AND table = 'raw_exposure_rows' AND database = currentDatabase()"
        )
        print(f"{exposures:,} exposures, {float(str(size)):,.0f} MB in exposure_rows", flush=True)
    found = _read(server, Reader(settings), exact)
    if exact or exposures < GOAL_AT:
        return []
    return [
        f"{name} took {took:.2f} s, the goal is {GOAL:g} s"
        for name, took in found.items()
        if name.startswith("results") and took > GOAL
    ]


def _merge(client: Client) -> None:
    """Merge every month but the last, as time does."""
    months = client.query(
        "SELECT DISTINCT partition FROM system.parts WHERE active AND table = 'raw_exposure_rows' "
        "AND database = currentDatabase() ORDER BY partition"
    ).result_rows
    for (month,) in months[:-1]:
        client.command(f"OPTIMIZE TABLE raw_exposure_rows PARTITION {month}")


def _read(server: ClickHouseServer, reader: Reader, exact: bool) -> dict[str, float]:
    """The seconds of the quickest of three readings, by question."""
    seconds: dict[str, float] = {}
    single = replace(PLAN, metrics=(SOLVED,))
    ways: dict[str, Callable[[], object]] = {
        "results of solved": lambda: read_results(reader, single, AS_OF),
        "results of solved and cost_usd": lambda: read_results(reader, PLAN, AS_OF),
        "page: results of both with their charts": lambda: read_charted(reader, PLAN, AS_OF, SOLVED)[0],
        "page: 100 units": lambda: units_query(PLAN, SOLVED, AS_OF).first(reader, 100),
    }
    if exact:
        ways = {"solved, exact": lambda: exact_population(reader, PLAN, SOLVED, AS_OF)}
    for name, read in ways.items():
        Path(f"/proc/{server.pid}/clear_refs").write_text("5")
        tries = []
        for _ in range(1 if exact else 3):
            before, began = _cpu(server), time.monotonic()
            found = read()
            tries.append((time.monotonic() - began, _cpu(server) - before))
        took, used = min(tries)
        seconds[name] = took
        print(f"{name}: {took:.2f} s, {used:.2f} CPU s, {_peak(server):,.0f} MB at most", flush=True)
        if isinstance(found, Results):
            print(f"  {verdict(found).sentence}", flush=True)
    return seconds


def _peak(server: ClickHouseServer) -> float:
    """The most memory that the engine had, in MB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _cpu(server: ClickHouseServer) -> float:
    """CPU seconds of the engine since its start."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()

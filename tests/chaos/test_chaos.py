"""A small run: every part is killed at random and nothing is lost, double or wrong.

What is damaged is found.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import clickhouse_connect
import pytest

from benchmarks.chaos.schedule import schedule
from benchmarks.chaos.storm import Storm
from benchmarks.chaos.trial import Plan, Trial, trial

PLAN = Plan(
    seed=7, cases=150, rate=50.0, correlates=2, stores=1, partitions=4, standbys=1, settle=240.0, followups=1
)
SCORED = "(SELECT min(score_id) FROM raw_scores WHERE reason = 'outcome')"
DAMAGES = {
    # Lost and double as the views would show it, after a row that should be there is gone or has a sister.
    "lost": f"DELETE FROM raw_latest_by_kind WHERE score_id = {SCORED}",
    "repeated": (
        "INSERT INTO raw_dead_letters SELECT * REPLACE ('again' AS dead_letter_id) FROM raw_dead_letters "
        "LIMIT 1"
    ),
    "wrong": (
        "ALTER TABLE raw_latest_by_kind UPDATE value = value + 1 WHERE reason = 'given' SETTINGS "
        "mutations_sync = 2"
    ),
    "double": (
        "INSERT INTO raw_latest_by_kind SELECT * REPLACE ('sister' AS score_id) FROM raw_latest_by_kind "
        "FINAL WHERE value IS NOT NULL LIMIT 1"
    ),
    "gaps": (
        "DELETE FROM raw_scores WHERE revision = 1 AND score_id IN (SELECT score_id FROM raw_scores WHERE "
        "revision = 2)"
    ),
}


@pytest.mark.stack
async def test_chaos_changes_nothing_and_damage_is_found(tmp_path: Path) -> None:
    async with trial(PLAN, tmp_path, print) as running:
        sending = asyncio.create_task(running.load.run(PLAN.cases))
        storm = Storm(running.fleet, running.load, running.progress, running.anew, print)
        workers = [member.name for member in running.fleet.workers]
        await storm.rage(schedule(PLAN.seed, workers), kills=6)
        running.load.stop()
        await sending
        report, findings = await running.verdict(done=storm.done)
        assert findings.is_clean, "\n".join(line for lines in vars(findings).values() for line in lines)
        assert sum(report.killed.values()) >= 6
        assert report.facts > 0
        await _damage_is_found(running)


async def _damage_is_found(running: Trial) -> None:
    truth = await running.truth()
    client = clickhouse_connect.get_client(dsn=running.settings.clickhouse_url.get_secret_value())
    for kind, damage in DAMAGES.items():
        before = (await running.compared(truth)).counts()[kind]
        client.command(damage)
        assert (await running.compared(truth)).counts()[kind] > before, kind
    client.close()

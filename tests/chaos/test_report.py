"""Reports are kept as lines, and add up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.chaos.report import VERDICT, Report, append, read, totals

CLEAN = Report(
    at="2026-05-04T10:00:00+00:00",
    commit="abc",
    seed=1,
    killed={"kafka": 2, "store": 3},
    done={"kill": 5, "cut": 1},
    rebalances=4,
    runs=100,
    events=300,
    messages=120,
    facts=110,
    found=dict.fromkeys(VERDICT, 0),
    chaos_seconds=10.0,
    settle_seconds=2.0,
    longest_without_score=3.0,
    silent_calms=0,
    ended={},
)


def test_a_log_gives_back_its_reports(tmp_path: Path) -> None:
    failed = replace(CLEAN, seed=2, found=CLEAN.found | {"lost": 1})
    log = tmp_path / "new" / "chaos.jsonl"
    append(log, CLEAN)
    append(log, failed)
    assert read(log) == [CLEAN, failed]
    assert (CLEAN.is_clean, failed.is_clean) == (True, False)


def test_totals_add_up() -> None:
    table = totals([CLEAN, replace(CLEAN, seed=2, found=CLEAN.found | {"lost": 1})])
    assert "| 1 | 5 | 4 | 100 | 300 | 0 | 0 |" in table
    assert "| 2 | 5 | 4 | 100 | 300 | 1 | 0 |" in table
    assert "| **all** | 10 | 8 | 200 | 600 | 1 | 0 |" in table
    assert "Killed: 6 store, 4 kafka." in table

"""The demo as people start it: real parts, real data, exact numbers."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.upshot_process import START, begin, descendants, gone, start, upshot
from upshot.demo.expected import expected_of
from upshot.demo.pulls import COLUMNS, SHIPPED, read_pulls
from upshot.demo.result import Result, ResultLine, differences

ROWS = (
    "1,Devin,Go,fix,closed,true,,1,2,3,4,5,6,7,8,9",
    "2,Devin,Go,fix,closed,false,,1,2,3,4,5,6,7,8,9",
    "3,Devin,,fix,open,false,,1,2,3,4,5,6,7,8,9",
    "o'4\\,Agent <b>,C#,docs,closed,true,2025-01-01T00:00:00Z,,,,,,,,,",
    "5,Agent <b>,,docs,closed,true,,1,2,3,4,5,6,7,8,9",
    "6,Idle,C#,docs,open,false,,1,2,3,4,5,6,7,8,9",
)


def write(tmp_path: Path, rows: Sequence[str] = ROWS) -> Path:
    file = tmp_path / "pulls.csv"
    file.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return file


def line(group: str, scored: int, merged: int, rate: float | None, pending: int) -> dict[str, Any]:
    return {"group": group, "scored": scored, "merged": merged, "rate_percent": rate, "pending": pending}


@pytest.mark.stack
def test_the_shipped_file_gives_its_own_numbers(tmp_path: Path) -> None:
    done = upshot("demo", "--json", environment={"TMPDIR": str(tmp_path)}, within=START)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["matches"] is True
    assert told["total"] == line("total", 2391, 1806, 75.5, 380)
    assert {one["group"]: one for one in told["by_agent"]} == {
        "GitHub Copilot": line("GitHub Copilot", 838, 640, 76.4, 214),
        "Devin": line("Devin", 681, 481, 70.6, 33),
        "OpenAI Codex": line("OpenAI Codex", 641, 500, 78.0, 76),
        "Cursor": line("Cursor", 172, 134, 77.9, 38),
        "Claude Code": line("Claude Code", 59, 51, 86.4, 19),
    }
    assert told["latency"]["outcomes"] == 200
    assert list(tmp_path.iterdir()) == [], "the temporary folder is left behind"


@pytest.mark.stack
def test_a_small_file_of_ones_own_and_its_data_stay(tmp_path: Path) -> None:
    there = tmp_path / "data"
    command = ("demo", "--data", str(write(tmp_path)), "--data-dir", str(there))
    done = upshot(*command, within=START)
    assert done.returncode == 0, done.stderr
    rows = [row.split("  ") for row in done.stdout.splitlines()]
    found = {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows if row}
    assert found["Devin"] == ["2", "1", "50.0", "1"]
    assert found["Agent <b>"] == ["2", "2", "100.0", "0"]
    assert found["Idle"] == ["0", "0", "1"]
    assert found["(none)"] == ["1", "1", "100.0", "1"]
    assert found["total"] == ["4", "3", "75.0", "2"]
    assert "matches the file: yes" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr

    again = upshot(*command, within=START)
    assert again.returncode == 2
    assert "already holds data (6 runs, 6 waits, 4 outcomes, 4 scores)" in again.stderr


@pytest.mark.stack
def test_kept_it_goes_on_until_ctrl_c(tmp_path: Path) -> None:
    running = start(tmp_path / "data", "demo", "--keep", "--data", str(write(tmp_path)))
    running.wait_said("Everything still runs")
    asked = upshot("query", "--json", "SELECT count() AS n FROM runs", "--data-dir", str(tmp_path / "data"))
    assert json.loads(asked.stdout) == [{"n": 6}]
    assert running.interrupt() == 0, running.metadata.read_text()


@pytest.mark.stack
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_in_the_middle_it_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    running = begin(tmp_path, "demo", environment={"TMPDIR": str(temporary)})
    running.wait_said("clickhouse: ready")
    children = descendants(running.process.pid)
    assert children
    assert running.interrupt(number) == code, running.metadata.read_text()
    assert gone(children)
    assert list(temporary.iterdir()) == []
    assert "Traceback" not in running.metadata.read_text()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((), "holds no pull request"),
        ((ROWS[0], ROWS[0]), "line 3: pr_id 1 already stands in line 2"),
        (("1,Devin,Go,fix,closed,perhaps,,1,2,3,4,5,6,7,8,9",), "line 2: merged is 'perhaps'"),
    ],
)
def test_a_file_that_cannot_be_used_starts_nothing(tmp_path: Path, rows: Sequence[str], said: str) -> None:
    done = upshot("demo", "--data", str(write(tmp_path, rows)), "--data-dir", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (tmp_path / "data").exists()


def test_any_difference_from_the_file_is_found() -> None:
    truth = expected_of(read_pulls(SHIPPED))
    agents = [ResultLine(name, *count[:2], None, count.pending) for name, count in truth.agents.items()]
    languages = [ResultLine(name, *count[:2], None, count.pending) for name, count in truth.languages.items()]
    total = ResultLine("total", 2391, 1806, 75.5, 380)
    assert differences(Result(agents, languages, total), truth) == []
    one_more = ResultLine("Devin", 682, 481, 70.5, 33)
    others = [line for line in agents if line.group != "Devin"]
    assert differences(Result([*others, one_more], languages, total), truth) == [
        "agent 'Devin': 682 scored, 481 merged, 33 pending, the file says 681 scored, 481 merged, 33 pending"
    ]
    assert len(differences(Result(others, languages[1:], total), truth)) == 2
    assert len(differences(Result([*agents, ResultLine("New", 1, 0, 0.0, 0)], languages, total), truth)) == 1


@pytest.mark.stack
def test_an_experiment_ends_with_the_outcome_against_the_judge(tmp_path: Path) -> None:
    done = upshot("demo", "--experiment", "--json", environment={"TMPDIR": str(tmp_path)}, within=START)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["matches"], result["tickets"]) == (True, 3_000)
    assert (result["state"], result["winner"]) == ("decided", "plain")
    assert result["verdict"].startswith("warm is worse on stays_solved: -")
    solved, cost, helpful = result["metrics"]
    assert sum(arm["compared"] for arm in solved["variants"]) == 3_000
    against = cost["variants"][1]["against_control"]
    assert (against["safe"], against["beyond_margin"]) == (False, True), "a quarter more, of a fifth allowed"
    assert helpful["variants"][1]["against_control"]["low"] > 0
    assert result["sample_ratio"][0]["stopped"] is False
    assert all(0.6 < arm["auc"] < 0.9 for arm in result["judge"]["variants"])
    assert list(tmp_path.iterdir()) == [], "the temporary folder is left behind"


def test_an_experiment_takes_no_file(tmp_path: Path) -> None:
    done = upshot("demo", "--experiment", "--data", str(write(tmp_path)))
    assert done.returncode == 2 and "leave out --data" in done.stderr

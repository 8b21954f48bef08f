"""mypy and pyright see through every decorator, and find what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SAMPLE = Path(__file__).with_name("typed_sample.py")
WRONG = """
from typing import assert_type

import upshot

assert_type(upshot.App("support").outcome("ticket.closed", "ticket:1"), int)
"""


def test_mypy() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unused-ignores",
            "--config-file",
            "pyproject.toml",
            SAMPLE,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_pyright(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path)
    report = pyright(tmp_path)
    assert report["summary"]["filesAnalyzed"] == 1, report
    assert report["generalDiagnostics"] == []


def test_pyright_finds_a_deliberate_error(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    report = pyright(tmp_path)
    assert report["summary"]["filesAnalyzed"] == 1, report
    [found] = report["generalDiagnostics"]
    assert (found["severity"], found["rule"]) == ("error", "reportAssertTypeFailure"), found


def pyright(project: Path) -> dict[str, Any]:
    """The report of pyright on the Python files in a folder: pyright ignores absolute paths in `include`."""
    settings = {
        "include": ["*.py"],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "enableTypeIgnoreComments": False,
        "pythonVersion": "3.11",
    }
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--project",
            str(project),
            "--pythonpath",
            sys.executable,
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    return report

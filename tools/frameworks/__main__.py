"""`python -m tools.frameworks [--page FILE] [CASE …]` runs the cases and exits with 1 where a case is off.

Prints a line for each case; `--page` writes the table of docs/frameworks.md between its two marks. A case is
right when its run has exactly the tokens given by the server, and no content. A lack of an instrumentation's
own is named in its row, and its end is a fault here: then the row has to change.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.frameworks.agents import CASES, Case

#: Seconds for one case; importing a framework takes most of them.
_PATIENCE = 180.0
_BEGIN, _END = "<!-- table: begin -->", "<!-- table: end -->"
_HEAD = ("framework and instrumentation", "install", "set up", "calls", "tokens counted", "content kept")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.frameworks", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--page", type=Path, help="write the table into this page")
    parser.add_argument("cases", nargs="*", help="names of cases, or a part of them; all where none is given")
    options = parser.parse_args()
    chosen = [c for n, c in CASES.items() if not options.cases or any(part in n for part in options.cases)]
    rows, off = [], 0
    for case in chosen:
        found, error = _run(case)
        wrong = trouble(found, case.lack) if found else error
        off += bool(wrong)
        verdict = "off  " if wrong else "lack " if case.lack else "right"
        sys.stdout.write(f"{verdict}  {case.name}{f': {wrong or case.lack}' if wrong or case.lack else ''}\n")
        sys.stdout.flush()
        rows.append(_row(case, found, wrong))
    if options.page:
        _write(options.page, rows)
    return int(off > 0)


def trouble(found: dict[str, Any], lack: str = "") -> str:
    """The faults of a case; empty for a right case, and for a known lack of the instrumentation's own."""
    counted = [found["input_tokens"], found["output_tokens"]]
    problems = []
    if not found["calls"]:
        problems.append("no call reached the model server")
    expected = [0, 0] if lack else found["expected"]
    if counted != expected:
        problems.append(f"counted {counted} tokens in and out, expected {expected}")
    if found["content_in"]:
        problems.append(f"content in {', '.join(found['content_in'])}")
    return "; ".join(problems)


def _run(case: Case) -> tuple[dict[str, Any] | None, str]:
    command = [sys.executable, "-m", "tools.frameworks.play", case.name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return None, f"no end within {_PATIENCE:g} s"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or ["no output"])[-1][:300]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found, ""


def _row(case: Case, found: dict[str, Any] | None, wrong: str) -> tuple[str, ...]:
    if found is None:
        return case.name, " ".join(case.packages), f"`{case.setup}`", "", wrong, ""
    packages = " ".join(f"`{package}=={number}`" for package, number in found["versions"].items())
    counted = found["input_tokens"], found["output_tokens"]
    right = case.lack or "all" if not wrong else f"{counted} of {tuple(found['expected'])}"
    return (
        case.name,
        packages,
        f"`{case.setup}`",
        str(found["calls"]),
        right,
        ", ".join(found["content_in"]) or "none",
    )


def _write(page: Path, rows: list[tuple[str, ...]]) -> None:
    lines = [_HEAD, tuple("---" for _ in _HEAD), *rows]
    table = "\n".join(f"| {' | '.join(row)} |" for row in lines)
    before, _, rest = page.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    page.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}")


if __name__ == "__main__":
    sys.exit(main())

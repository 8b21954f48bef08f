"""The page on replays, run as it stands: an agent, its record in ClickHouse, the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.upshot_process import WholeStack, clean_environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "replay.md").read_text()

pytestmark = pytest.mark.stack


def blocks(language: str) -> list[str]:
    """The page's code of a language, top to bottom."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Place:
    """A folder with the page's module, and the stack that it talks to."""

    def __init__(self, stack: WholeStack, folder: Path) -> None:
        self.stack = stack
        self.module = folder / "support.py"
        self._folder = folder
        self._environment = {**clean_environment(), "UPSHOT_DATA_DIR": str(stack.data_dir)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python, in that folder."""
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            cwd=self._folder,
            env=self._environment,
        )

    def replay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command."""
        return self.run("-m", "upshot.cli", "replay", *arguments, "--data-dir", str(self.stack.data_dir))


def test_the_page(stack: WholeStack, tmp_path: Path) -> None:
    module, changed, from_python, in_tests = blocks("python")
    [sql] = blocks("sql")
    place, agent = Place(stack, tmp_path), f"s-{uuid4().hex}"
    place.module.write_text(module.replace('"support"', f'"{agent}"'))
    first = place.run("support.py")
    assert (first.returncode, first.stdout.split(":")[0]) == (0, "sent to ticket 7"), first.stderr
    asked = f"SELECT status, origin FROM runs WHERE agent = '{agent}' ORDER BY started_at"
    stack.eventually(asked, [{"status": "completed", "origin": "live"}])
    [row] = stack.query(f"SELECT run_id FROM runs WHERE agent = '{agent}'")
    run_id = row["run_id"]
    stack.eventually(f"SELECT count() AS steps FROM steps WHERE run_id = '{run_id}'", [{"steps": 3}])
    stack.eventually(f"SELECT value FROM current_scores WHERE run_id = '{run_id}'", [{"value": 54}])

    steps = place.replay(run_id)
    assert [line.split()[0] for line in steps.stdout.splitlines()] == [
        "step",
        "find_articles",
        "draft",
        "send",
    ]
    place.module.write_text(place.module.read_text().replace("\nif __name__", f"\n{changed}\nif __name__"))

    refused = place.replay(run_id, "--from", "draft", "--app", "support:app", "--dry-run")
    assert refused.returncode == 1
    assert "'send' has side effects; it wasn't run" in refused.stderr
    assert "sent to" not in refused.stdout

    told = place.replay(run_id, "--from", "draft", "--app", "support:app", "--recorded-side-effects")
    assert told.returncode == 0, told.stderr
    wanted = blocks("console")[1].splitlines()[1:]
    shown = [line.split() for line in told.stdout.splitlines()]
    # How long a step took is another number each time.
    assert [line[:2] for line in shown[:4]] == [line.split()[:2] for line in wanted[:4]]
    assert shown[4:12] == [line.split() for line in wanted[4:12]]
    assert "not emitted: waits about ticket:7 (stays_closed)" in told.stderr

    stack.eventually(
        asked, [{"status": "completed", "origin": "live"}, {"status": "completed", "origin": "replay"}]
    )
    stack.eventually(
        f"SELECT name, before, after FROM ({sql}) WHERE replayed_from = '{run_id}'",
        [
            {
                "name": "draft",
                "before": wanted[9].split("before  ")[1],
                "after": "Hello! Refunds take five days.",
            }
        ],
    )
    stack.eventually(f"SELECT count() AS waits FROM waits WHERE agent = '{agent}'", [{"waits": 1}])

    as_json = place.replay(
        run_id, "--from", "send", "--app", "support:app", "--yes-side-effects", "--json", "--dry-run"
    )
    assert [step["what"] for step in json.loads(as_json.stdout)["steps"]] == ["recorded", "recorded", "same"]
    assert "sent to ticket 7: Refunds" in as_json.stderr

    script = f"import upshot\nfrom support import *\nrun_id = {run_id!r}\n{from_python}\n{in_tests}"
    ran = place.run("-c", script)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nobody"], 1, "there is no run nobody"),
        (["r1", "--from", "draft"], 2, "give --app MODULE:NAME"),
        (["r1", "--from", "x", "--app", "json:loads"], 2, "has no app called loads"),
        (["r1", "--from", "x", "--yes-side-effects", "--recorded-side-effects"], 2, "exclude each other"),
    ],
)
def test_what_cannot_be_done(
    stack: WholeStack, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = Place(stack, tmp_path).replay(*arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_run_inside_of_a_run_is_read_as_well(stack: WholeStack, tmp_path: Path) -> None:
    place, agent = Place(stack, tmp_path), f"s-{uuid4().hex}"
    place.module.write_text(
        f"import upshot\napp = upshot.App({agent!r}, capture_content=True)\n"
        "@app.step\ndef count(text: str) -> int:\n    print('counted', text)\n    return len(text)\n"
        "@app.agent\ndef inner(text: str) -> int:\n    return count(text) + count(text + '!')\n"
        f"@app.agent(name={agent!r})\ndef outer() -> int:\n    return inner('abc') + count('de')\n"
        "if __name__ == '__main__':\n    outer()\n"
    )
    assert place.run("support.py").returncode == 0
    stack.eventually(
        "SELECT count() AS steps FROM steps WHERE run_id IN (SELECT run_id FROM runs WHERE agent = "
        f"'{agent}' OR parent_run_id IN (SELECT run_id FROM runs WHERE agent = '{agent}'))",
        [{"steps": 4}],
    )
    stack.eventually(
        f"SELECT count() AS ended FROM runs WHERE status = 'completed' AND (agent = '{agent}' "
        f"OR parent_run_id IN (SELECT run_id FROM runs WHERE agent = '{agent}'))",
        [{"ended": 2}],
    )
    [row] = stack.query(f"SELECT run_id FROM runs WHERE agent = '{agent}'")
    for step, counted in (("count#2", ["abc!", "de"]), ("count#3", ["de"])):
        done = place.replay(row["run_id"], "--from", step, "--app", "support:app", "--dry-run")
        assert done.returncode == 0, done.stderr
        ran = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("counted ")]
        assert ran == counted

"""The page on rescoring, run as it stands: a worker with the first code, then the command with the second."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.upshot_process import START, Running, WholeStack, begin, clean_environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rescore.md").read_text()

pytestmark = pytest.mark.stack

#: Tickets that come back so many days after they were answered, 40 days ago.
BACK = {1: None, 2: 3, 3: 10}
#: A scorer whose step gives another number each time that it's run.
LUCK = """
import random

def draw() -> float:
    return random.random()

@app.scorer(name="luck_stays_closed")
async def luck(ctx: upshot.Followup[Ticket]) -> float:
    return await ctx.step("draw", draw)

@app.scorer(name="luck_stays_closed", version="2")
async def more_luck(ctx: upshot.Followup[Ticket]) -> float:
    return 1 + await ctx.step("draw", draw)

@app.scorer(name="luck_stays_closed", version="3")
async def other_luck(ctx: upshot.Followup[Ticket]) -> float:
    return await ctx.step("draw again", draw)
"""
STORY = """
from tickets import *

for number, days in {back!r}.items():
    if days is not None:
        when = datetime.now(UTC) - timedelta(days=40 - days)
        app.outcome("ticket.reopened", f"{own}:{{number}}", time=when, id=f"back-{{number}}")
    answer(Ticket(number=number))
with app.run() as run:
    run.defer(luck, Ticket(number=9))
assert app.flush(60)
"""


def blocks(language: str) -> list[str]:
    """The page's code of a language, top to bottom."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Place:
    """A folder with the page's module, in names of its own, and the stack that it talks to."""

    def __init__(self, stack: WholeStack, folder: Path) -> None:
        self.stack = stack
        self.own = f"t{uuid4().hex}"
        self.module = folder / "tickets.py"
        self._folder = folder
        self._environment = clean_environment() | {"UPSHOT_DATA_DIR": str(stack.data_dir)}

    def write(self, *code: str) -> None:
        """The module, whose clock is 40 days behind."""
        ago = int((datetime.now(UTC) - timedelta(days=40)).timestamp()) * 10**9
        text = "\n".join(code).replace('App("tickets")', f'App("{self.own}", clock=lambda: {ago})')
        text = text.replace("stays_closed", f"{self.own}_stays_closed").replace("ticket:{", self.own + ":{")
        self.module.write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Python, in that folder."""
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=START,
            cwd=self._folder,
            env=self._environment,
        )

    def rescore(self, *arguments: str, scorer: str = "") -> Any:
        """The command's JSON."""
        scorer = scorer or f"{self.own}_stays_closed"
        options = "--app", "tickets:app", "--json", "--data-dir", str(self.stack.data_dir)
        done = self.run("-m", "upshot.cli", "rescore", scorer, *arguments, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def worker(self) -> Running:
        """A worker that runs the module's scorers."""
        environment = self._environment | {"PYTHONPATH": str(self._folder)}
        arguments = "worker", "--role", "followups", "--app", "tickets:app"
        return begin(self._folder, *arguments, environment=environment)


@pytest.fixture
def place(stack: WholeStack, tmp_path: Path) -> Iterator[Place]:
    """With a worker that has the first version of the code."""
    made = Place(stack, tmp_path)
    made.write(blocks("python")[0], LUCK)
    worker = made.worker()
    try:
        worker.wait_said("followups works on")
        yield made
    finally:
        code = worker.interrupt(signal.SIGTERM)
    assert code == 0, worker.metadata.read_text()


def test_the_page(place: Place) -> None:
    first, second = blocks("python")
    story = STORY.format(back=BACK, own=place.own)
    done = place.run("-c", story)
    assert done.returncode == 0, done.stderr
    name = f"{place.own}_stays_closed"
    scores = f"SELECT value, reason FROM current_scores WHERE name = '{name}' ORDER BY value, reason"
    place.stack.eventually(
        scores,
        [
            {"value": 0, "reason": "outcome"},
            {"value": 1, "reason": "deadline"},
            {"value": 1, "reason": "deadline"},
        ],
    )
    deferred = f"SELECT count() AS n FROM deferrals WHERE scorer = '{name}'"
    place.stack.eventually(deferred, [{"n": 3}])
    # The join has heard of them; that they are stored is another matter.
    happened = f"SELECT count() AS n FROM outcomes WHERE startsWith(subject, '{place.own}:')"
    place.stack.eventually(happened, [{"n": 2}])
    place.stack.eventually(f"SELECT count() AS n FROM current_scores WHERE name = 'luck_{name}'", [{"n": 1}])

    place.write(first, LUCK, second)
    told = place.rescore("--since", "P60D")
    [score] = told["scores"]
    header, row, _, _, change = blocks("console")[0].splitlines()[1:]
    wanted = dict(zip(header.split()[1:6], map(int, row.split()[1:6]), strict=True))
    assert {what: score[what] for what in wanted} == wanted
    assert [round(score[mean], 3) for mean in ("mean_before", "mean_after")] == [0.667, 0.333]
    [differing] = told["differing"]
    assert [differing["what"], differing["before"], differing["after"]] == ["changed", True, False]
    assert change.split()[2] == "changed"
    assert told["promoted"] == 0
    assert place.rescore("--since", "P60D", "--version", "1")["differing"] == []
    assert place.rescore("--since", "P1D")["scores"] == []

    assert place.rescore("--since", "P60D", "--promote")["promoted"] == 1
    place.stack.eventually(
        scores,
        [
            {"value": 0, "reason": "outcome"},
            {"value": 0, "reason": "rescored"},
            {"value": 1, "reason": "deadline"},
        ],
    )
    run_id = differing["run_id"]
    place.stack.eventually(
        "SELECT revision, value, attributes['scorer_version'] AS version FROM scores WHERE run_id = "
        f"'{run_id}' ORDER BY revision",
        [{"revision": 1, "value": 1, "version": ""}, {"revision": 2, "value": 0, "version": "2"}],
    )
    assert place.rescore("--since", "P60D")["differing"] == []
    _steps_have_the_results_that_they_had(place)


def _steps_have_the_results_that_they_had(place: Place) -> None:
    name = f"luck_{place.own}_stays_closed"
    [row] = place.stack.query(f"SELECT value FROM current_scores WHERE name = '{name}'")
    told = place.rescore("--since", "P60D", "--version", "2", scorer=name)
    assert told["endings"] == {"done": 1}, told
    [one] = told["differing"]
    assert (one["before"], one["after"]) == (row["value"], 1 + row["value"])
    told = place.rescore("--since", "P60D", "--version", "3", scorer=name)
    assert (told["endings"], told["steps"], told["scores"]) == ({"steps": 1}, ["draw again"], [])
    told = place.rescore("--since", "P60D", "--version", "3", "--yes-steps", scorer=name)
    assert told["endings"] == {"done": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "--since yesterday is no instant"),
        (["--since", "P1D", "--version", "7"], "in version 1, not 7"),
    ],
)
def test_what_cannot_be_done(stack: WholeStack, tmp_path: Path, arguments: list[str], said: str) -> None:
    place = Place(stack, tmp_path)
    place.write(blocks("python")[0])
    scorer = f"{place.own}_stays_closed"
    done = place.run("-m", "upshot.cli", "rescore", scorer, *arguments, "--app", "tickets:app")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr

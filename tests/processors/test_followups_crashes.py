"""Workers that are killed: what was deferred goes on elsewhere, and nothing is scored twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processors.bench import Bench, until
from tests.processors.test_followups_kafka import are, stands

pytestmark = pytest.mark.stack

SCRIPT = Path(__file__).with_name("followups_worker.py")
ROOT = Path(__file__).parents[2]


class Killable:
    """Workers as processes, one at a time."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._settings = bench.settings
        self._folder = folder
        self.hold = folder / "hold"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = [self._settings.kafka_url, self._settings.topic_prefix, str(self._folder), str(self.hold)]
        with (self._folder / "emitted").open("ab") as emitted:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *arguments],
                stdout=emitted,
                stderr=emitted,
                env={"PYTHONPATH": str(ROOT)},
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def started(self) -> list[str]:
        file = self.hold.with_suffix(".started")
        return file.read_text().splitlines() if file.exists() else []


async def test_a_kill_between_deferral_and_answer_and_one_amid_an_execution(
    bench: Bench, tmp_path: Path
) -> None:
    workers = Killable(bench, tmp_path)
    ids = [f"f{number}" for number in range(20)]
    try:
        async with bench.worker():
            workers.start()
            for number, key in enumerate(ids):
                await bench.defer(key, "judged", number)
            await stands(bench, are("waiting", *ids))
            workers.kill()
            for number in range(len(ids)):
                event = {"type": "ticket.reopened", "subject": f"ticket:{number}", "id": "e"}
                await bench.send("outcomes", event)
            workers.hold.touch()
            workers.start()
            await until(lambda: {f"{key} 1" for key in ids} <= set(workers.started()))
            workers.kill()
            workers.hold.unlink()
            workers.start()
            await stands(bench, are("done", *ids))
            scores = await bench.read("scores", lambda found: len({s["score_id"] for s in found}) >= len(ids))
    finally:
        workers.kill()
    assert {(s["value"], s["revision"], s["reason"]) for s in scores} == {(0.5, 1, "outcome")}
    assert len({s["score_id"] for s in scores}) == len(ids)

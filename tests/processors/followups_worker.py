"""The role of follow-ups as a process of its own, with scripted code.

Arguments: the broker, the prefix of topics, the data folder, and a file: while the file exists no execution
with an answer ends.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.processors.scripted import SECOND, PlainExecutor, Script
from upshot.processors.followups.execution import Execution, Snapshot
from upshot.processors.followups.handler import followups_app
from upshot.settings import Settings
from upshot.streams.runtime.runner import main

WEEK = 7 * 86_400 * SECOND


def judged(script: Script) -> None:
    """Waits, judges by a step, and scores."""
    answer = script.wait("ticket.reopened", f"ticket:{script.data}", WEEK)
    script.score("quality", script.step("judge", 0.5) if answer.event else 1.0)


class HeldExecutor(PlainExecutor):
    """Executions with an answer end while a file isn't there. Each start adds a line to the file beside it.

    Executions without an answer always end: a worker killed before its commit begins these again.
    """

    def __init__(self, hold: Path) -> None:
        super().__init__({("judged", "1"): judged})
        self._hold = hold

    def start(self, memory: Snapshot) -> None:
        with self._hold.with_suffix(".started").open("a") as started:
            started.write(f"{memory.origin.followup_id} {len(memory.answers)}\n")
        if memory.answers:
            self.holding.add(memory.origin.followup_id)
        super().start(memory)

    def finished(self) -> Sequence[tuple[str, Execution]]:
        if not self._hold.exists():
            self.holding.clear()
        return super().finished()


if __name__ == "__main__":
    broker, prefix, folder, hold = sys.argv[1:]
    settings = Settings(
        kafka_url=broker,
        topic_prefix=prefix,
        data_dir=Path(folder),
        commit_interval=0.2,
        # By its name it takes up its partitions at once when it's back, however slow the machine.
        worker_id="killable",
        session_timeout=60.0,
    )
    main(lambda: followups_app(settings, HeldExecutor(Path(hold))))

"""Code that ends its own process fails its follow-up, and no other follow-up of the worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.followups.test_executor import memory
from upshot.followups.crash_guard import ALONE, TOGETHER, CrashGuard
from upshot.followups.crash_journal import Crashes, CrashJournal
from upshot.processors.followups.execution import Execution, Snapshot
from upshot.streams.events.instants import Micros

#: A worker's life: it runs whatever is not done yet, as the handler does, until all is done or it dies.
LIFE = """
import os, pathlib, sys, time
import upshot
from tests.followups.test_executor import memory
from upshot.followups.crash_guard import CrashGuard
from upshot.followups.crash_journal import CrashJournal
from upshot.followups.executor import make_executor

app = upshot.App("test")
folder, done = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])

@app.scorer
async def ends(ctx: upshot.Followup[None]) -> bool:
    os._exit(7)

@app.scorer
async def takes_long(ctx: upshot.Followup[None]) -> bool:
    await ctx.step("nap", time.sleep, 1.0)
    return True

executor = CrashGuard(make_executor(app), CrashJournal(folder))
under_way = set()
while left := {"f1", "f2"} - set(done.read_text().split()):
    for followup_id in sorted(left - under_way):
        if executor.room() > 0:
            under_way.add(followup_id)
            executor.start(memory(followup_id, "takes_long" if followup_id == "f2" else "ends"))
    for followup_id, execution in executor.finished():
        with done.open("a") as file:
            print(followup_id, file=file)
        print(followup_id, execution.ending, execution.attempts, execution.error, flush=True)
    time.sleep(0.01)
executor.close()
"""


class Fake:
    """An executor whose executions end when told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[tuple[str, Execution]] = []

    def knows(self, scorer: str, version: str) -> bool:
        return True

    def start(self, memory: Snapshot) -> None:
        self.begun.append(memory.origin.followup_id)

    def finish(self, followup_id: str) -> None:
        self.begun.remove(followup_id)
        self.over.append((followup_id, Execution("done")))

    def finished(self) -> Sequence[tuple[str, Execution]]:
        over, self.over = self.over, []
        return over

    def forget(self, followup_id: str) -> None:
        self.begun.remove(followup_id)

    def room(self) -> int:
        return 100 - len(self.begun)

    def running(self) -> Sequence[tuple[str, Micros]]:
        return [(followup_id, 0) for followup_id in self.begun]

    def close(self) -> None:
        self.begun.clear()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def life(tmp_path: Path, clock: list[float]) -> Iterator[Callable[[], tuple[CrashGuard, Fake]]]:
    """A process: what it left behind is as after a crash."""
    journals: list[CrashJournal] = []

    def begin() -> tuple[CrashGuard, Fake]:
        if journals:
            _crash(journals[-1])
        journals.append(CrashJournal(tmp_path))
        fake = Fake()
        return CrashGuard(fake, journals[-1], lambda: clock[0]), fake

    yield begin
    _crash(journals[-1])


def _crash(journal: CrashJournal) -> None:
    """The lock is given back, as by the end of a process; nothing is written."""
    journal._under_way.clear()
    journal.close()


def test_code_that_ends_its_process_fails_alone_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "life.py").write_text(LIFE)
    (tmp_path / "done").write_text("")
    command = [sys.executable, str(tmp_path / "life.py"), str(tmp_path / "folder"), str(tmp_path / "done")]
    root = Path(__file__).resolve().parents[2]
    printed = ""
    codes: list[int] = []
    while not codes or codes[-1] == 7:
        assert len(codes) < TOGETHER + ALONE + 1, printed
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=root, env={"PYTHONPATH": str(root)}
        )
        printed += ended.stdout + ended.stderr
        codes.append(ended.returncode)
    assert codes[-1] == 0, printed
    assert set((tmp_path / "done").read_text().split()) == {"f1", "f2"}
    assert printed.count("failed 1 the process ended each of the last 3 times that the code of ends ran") == 1
    assert printed.count("f2 done") == 1


def test_suspects_run_alone_and_others_wait(life: Callable[[], tuple[CrashGuard, Fake]]) -> None:
    for _ in range(TOGETHER):
        guard, fake = life()
        guard.start(memory("f1", "s"))
        guard.start(memory("f2", "s"))
        assert fake.begun == ["f1", "f2"]
    guard, fake = life()
    guard.start(memory("f3", "s"))
    guard.start(memory("f1", "s"))
    assert (fake.begun, guard.room()) == (["f3"], 0)
    guard.start(memory("f2", "s"))
    fake.finish("f3")
    assert [name for name, _ in guard.finished()] == ["f3"]
    assert (fake.begun, guard.room()) == (["f1"], 0)
    fake.finish("f1")
    assert [name for name, _ in guard.finished()] == ["f1"]
    assert (fake.begun, guard.room()) == (["f2"], 0)
    guard.forget("f2")
    assert guard.room() == 100
    guard.start(memory("f1", "s"))
    guard.start(memory("f2", "s"))
    assert fake.begun == ["f1", "f2"], "nobody is a suspect any more"


def test_nobody_waits_for_ever(life: Callable[[], tuple[CrashGuard, Fake]], clock: list[float]) -> None:
    for _ in range(TOGETHER):
        life()[0].start(memory("slow", "s"))
    guard, fake = life()
    guard.start(memory("other", "s"))
    guard.start(memory("slow", "s"))
    clock[0] = 29.0
    assert (fake.begun, guard.room()) == (["other"], 0)
    clock[0] = 31.0
    assert (guard.room(), fake.begun) == (98, ["other", "slow"])
    guard, fake = life()
    guard.start(memory("slow", "s"))
    assert guard.room() == 0
    clock[0] = 62.0
    assert guard.room() == 99
    for _ in range(ALONE - 1):
        guard, fake = life()
        guard.start(memory("slow", "s"))
        assert fake.begun == ["slow"], "ends beside others are no ends alone"


def test_a_stop_in_good_order_leaves_no_suspect(tmp_path: Path) -> None:
    for _ in range(TOGETHER + ALONE + 1):
        fake = Fake()
        guard = CrashGuard(fake, CrashJournal(tmp_path))
        guard.start(memory("f1", "s"))
        assert fake.begun == ["f1"]
        guard.close()


def test_the_journal_outlives_damage_and_a_second_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = "a b\nc\u2028 é"
    first = CrashJournal(tmp_path)
    second = CrashJournal(tmp_path)
    first.begin(strange, alone=False)
    second.begin("other", alone=True)
    _crash(first)
    _crash(second)
    with (tmp_path / "under-way-0").open("ab") as file:
        file.write(b'["ended",0,0,"a b')
    first = CrashJournal(tmp_path)
    assert dict(first.suspects) == {strange: Crashes(1, 0)}
    monkeypatch.setattr("upshot.followups.crash_journal._MOST_BYTES", 500)
    for number in range(100):
        first.begin(f"f{number}", alone=False)
        first.end(f"f{number}")
    assert (tmp_path / "under-way-0").stat().st_size < 600
    first.begin("open", alone=False)
    _crash(first)
    first = CrashJournal(tmp_path)
    assert dict(first.suspects) == {strange: Crashes(1, 0), "open": Crashes(1, 0)}
    _crash(first)

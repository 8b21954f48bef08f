"""Workers that share a disk never share a database, and find their own again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from upshot.streams.state import Folders
from upshot.streams.state.folders import RETAINED_FOR


def test_each_claim_has_a_folder_of_its_own_and_finds_it_again(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    first, second, other = folders.claim(0), folders.claim(0), folders.claim(1)
    assert len({first.folder, second.folder, other.folder}) == 3
    second.release()
    assert Folders(tmp_path).claim(0).folder == second.folder


def test_of_several_the_one_used_last_is_taken(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    claims = [folders.claim(0) for _ in range(3)]
    for claim in claims:
        claim.release()
    for age, claim in ((30, claims[0]), (10, claims[1]), (20, claims[2])):
        lock = claim.folder.with_suffix(".lock")
        os.utime(lock, (lock.stat().st_mtime - age,) * 2)
    assert folders.claim(0).folder == claims[1].folder


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from upshot.streams.state import Folders\n"
    script += "claim = Folders(Path(sys.argv[1])).claim(0); print(claim.folder, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        beside = Folders(tmp_path).claim(0)
        assert beside.folder != held
        holder.kill()
        holder.wait()
    beside.release()
    lock = held.with_suffix(".lock")
    os.utime(lock, (lock.stat().st_mtime + 10,) * 2)
    assert Folders(tmp_path).claim(0).folder == held


def test_a_partition_on_its_way_from_another_process_is_waited_for(tmp_path: Path) -> None:
    held = Folders(tmp_path).claim(0)
    found: list[Path] = []
    waiting = threading.Thread(target=lambda: found.append(Folders(tmp_path).claim(0, patience=60).folder))
    waiting.start()
    held.release()
    waiting.join()
    assert found == [held.folder]


def test_what_nobody_used_for_long_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    used, left, recent = folders.claim(0), folders.claim(1), folders.claim(2)
    for claim in (used, left, recent):
        claim.folder.mkdir()
    left.set_aside()
    left.folder.mkdir()
    left.release()
    recent.release()
    for claim in (used, left):
        lock = claim.folder.with_suffix(".lock")
        os.utime(lock, (lock.stat().st_mtime - RETAINED_FOR - 1,) * 2)
    assert folders.clean() == [left.folder]
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["0", "0", "0.lock", "0.lock"]
    assert folders.claim(1).folder == left.folder


def test_only_the_last_that_was_set_aside_is_kept(tmp_path: Path) -> None:
    claim = Folders(tmp_path).claim(0)
    for content in ("first", "second"):
        claim.folder.mkdir()
        (claim.folder / content).touch()
        aside = claim.set_aside()
    assert [path.name for path in aside.iterdir()] == ["second"]
    assert not claim.folder.exists()
    claim.set_aside()

"""The vendored scripts are those of the lock file, byte for byte; other bytes and files are told."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools.vendored import FOLDER, LOCK, faults


def test_the_vendored_files_are_the_described_ones() -> None:
    assert faults(FOLDER, LOCK) == []
    assert "MIT License" in (FOLDER / "LICENSES.txt").read_text()


def test_a_changed_or_foreign_file_is_a_fault(tmp_path: Path) -> None:
    copy = tmp_path / "vendor"
    shutil.copytree(FOLDER, copy)
    (copy / "codemirror.js").write_bytes(b"alert(1)")
    (copy / "more.js").write_bytes(b"")
    assert faults(copy, LOCK) == [
        "more.js: not in vendor.json",
        "codemirror.js: its bytes aren't those of vendor.json",
    ]

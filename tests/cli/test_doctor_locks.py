"""The doctor's look at who else gets into a local stack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upshot.credentials import FILE_NAME, make_credentials
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.clickhouse_locks import Open
from upshot.ops.doctor.locks import FOLDER, USERS, examine_locks, users


def place(folder: Path, port: int | None) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "ports.json").write_text(json.dumps({"kafka": 1, "clickhouse": port}))
    return folder


def states(folder: Path) -> dict[str, str]:
    return {finding.check: finding.state for finding in examine_locks(folder)}


def test_what_the_locks_mean() -> None:
    kernels = Open("app", "read files by INSERT … FROM INFILE", is_kernels=True)
    assert users([]).state == "fine"
    assert users([kernels]).state == "notice" and "Landlock" in users([kernels]).found
    wrong = users([kernels, Open("viewer", "write files")])
    assert wrong.state == "wrong" and "viewer write files" in wrong.found and "install" in wrong.to_do


def test_a_folder_that_is_open_is_told(tmp_path: Path) -> None:
    folder = place(tmp_path / "data", None)
    assert states(folder) == {FOLDER: "fine"}
    folder.chmod(0o755)
    assert states(folder) == {FOLDER: "notice"}
    make_credentials(folder)
    (folder / FILE_NAME).chmod(0o640)
    assert states(folder) == {FOLDER: "wrong"}


def test_a_stack_without_passwords_is_to_be_started_again(tmp_path: Path) -> None:
    folder = place(tmp_path / "data", 1)
    assert states(folder) == {FOLDER: "fine", USERS: "wrong"}
    make_credentials(folder)
    assert states(folder) == {FOLDER: "fine", USERS: "unknown"}
    (folder / FILE_NAME).write_text("{}")
    assert states(folder) == {FOLDER: "fine", USERS: "wrong"}


def test_nothing_is_said_where_no_stack_is(tmp_path: Path) -> None:
    assert examine_locks(tmp_path) == []


@pytest.mark.stack
def test_a_real_one_is_tried(clickhouse: ClickHouseServer) -> None:
    ports = clickhouse.data_dir / "ports.json"
    ports.write_text(json.dumps({"clickhouse": clickhouse.http_port}))
    try:
        found = {finding.check: finding for finding in examine_locks(clickhouse.data_dir)}
    finally:
        ports.unlink()
    assert found[FOLDER].state == "fine"
    assert found[USERS].state in ("fine", "notice"), found[USERS]

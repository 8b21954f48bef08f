"""`upshot credentials`, and what commands say of a folder whose stack isn't theirs to use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.upshot_process import upshot
from upshot.cli.options import client_settings
from upshot.credentials import FILE_NAME, make_credentials
from upshot.errors import Unavailable


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ports.json").write_text(json.dumps({"kafka": 1, "clickhouse": 2}))
    return tmp_path


def test_they_are_printed_when_asked(place: Path) -> None:
    app, viewer = make_credentials(place)
    shown = upshot("credentials", "--data-dir", str(place))
    assert shown.returncode == 0 and "http://127.0.0.1:2" in shown.stdout
    assert [line.split()[:2] for line in shown.stdout.splitlines()[2:]] == [["app", app], ["viewer", viewer]]
    found = json.loads(upshot("credentials", "--json", "--data-dir", str(place)).stdout)
    assert found["viewer"] == {
        "user": "viewer",
        "password": viewer,
        "url": f"http://viewer:{viewer}@127.0.0.1:2/upshot",
    }
    assert found["app"]["url"] == f"http://app:{app}@127.0.0.1:2/upshot"


def test_nothing_is_printed_where_nothing_runs(tmp_path: Path) -> None:
    done = upshot("credentials", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (69, "") and "upshot up" in done.stderr


def test_a_stack_of_an_earlier_version_is_to_be_started_again(place: Path) -> None:
    with pytest.raises(Unavailable, match=r"earlier version.*start it again with"):
        client_settings(place)


def test_damaged_passwords_are_named(place: Path) -> None:
    (place / FILE_NAME).write_text("{")
    done = upshot("query", "SELECT 1", "--data-dir", str(place))
    assert done.returncode == 2 and FILE_NAME in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_a_folder_of_somebody_else_is_named(place: Path) -> None:
    make_credentials(place)
    place.chmod(0o700)
    child = os.fork()
    if child == 0:  # pragma: no cover - another user's process
        os.setuid(65534)
        try:
            client_settings(place)
        except Unavailable as error:
            os._exit(0 if "belongs to another user" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

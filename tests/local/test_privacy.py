"""The data directory is its owner's alone, whatever the umask and whatever was there before."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from upshot.credentials import FILE_NAME, make_credentials, read_credentials
from upshot.errors import ConfigurationError, PartFailed
from upshot.local.process import ProcessPart, close_data_dir
from upshot.private_files import create_private, private_folder, write_private
from upshot.sdk.spool import Spool
from upshot.settings import Settings, load_settings, local_viewer


@pytest.fixture(params=[0o000, 0o022, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_files_are_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b" / "c")
    assert [mode(path) for path in (folder, *folder.parents)][:3] == [0o700] * 3
    write_private(folder / "w", "text")
    assert create_private(folder / "c", "text") and not create_private(folder / "c", "other")
    assert [(path.read_text(), mode(path)) for path in (folder / "w", folder / "c")] == [("text", 0o600)] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["c", "w"]


def test_a_folder_that_was_open_is_closed_with_what_is_ours_in_it(open_umask: None, tmp_path: Path) -> None:
    """As an earlier version left it."""
    data = tmp_path / "data"
    (data / "logs").mkdir(parents=True)
    (data / "logs" / "kafka.log").write_text("")
    (data / "logs" / "elsewhere").symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs").write_text("")
    assert not close_data_dir(data)
    assert [mode(path) for path in (data, data / "logs", data / "logs" / "kafka.log")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert mode(tmp_path / "theirs") == 0o666


def test_a_folder_of_other_purposes_stays_as_it_is(
    open_umask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, home = tmp_path / "shared", tmp_path / "homes" / "me"
    for folder in (shared, home):
        folder.mkdir(parents=True)
    shared.chmod(0o1777)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    for folder in (shared, home, home.parent, tmp_path):
        before = mode(folder)
        assert close_data_dir(folder)
        assert mode(folder) == before
        assert mode(folder / "run") == 0o700


def test_what_a_part_writes_is_private(open_umask: None, tmp_path: Path) -> None:
    code = "import pathlib; pathlib.Path('made').write_text(''); pathlib.Path('folder').mkdir(); input()"
    part = ProcessPart(
        "writer", [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {code}"], tmp_path
    )
    part.start()
    try:
        while part.alive() and not (tmp_path / "folder").exists():
            pass
        assert (mode(tmp_path / "made"), mode(tmp_path / "folder")) == (0o600, 0o700)
        assert all(mode(path) == 0o600 for path in tmp_path.rglob("*") if path.is_file())
    finally:
        part.kill()


def test_the_spool_is_private(open_umask: None, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "new" / "spool", 10_000)
    assert spool.path is not None
    assert mode(tmp_path / "new") == mode(spool.path.parent) == 0o700
    assert {mode(path) for path in spool.path.parent.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(0o777)
    os.chown(tmp_path / "theirs", 12345, 12345)
    code = (
        "import os, sys; from pathlib import Path; from upshot.local.process import close_data_dir\n"
        "os.setuid(65534); close_data_dir(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "theirs")], capture_output=True, text=True, cwd="/"
    )
    assert "(it belongs to another user); nothing was started" in done.stderr


def test_passwords_that_somebody_else_put_there_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text('{"app": "known", "viewer": "known"}')
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match="isn't a file of this user"):
        make_credentials(tmp_path)


def test_a_file_that_was_open_is_closed(tmp_path: Path) -> None:
    made = make_credentials(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o644)
    assert make_credentials(tmp_path) == made and mode(tmp_path / FILE_NAME) == 0o600


def test_a_place_that_can_not_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PartFailed, match="can't be used"):
        close_data_dir(tmp_path / "file")


def test_everybody_gets_the_passwords_of_the_first(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=60)

    def make(number: int) -> object:
        together.wait()
        return make_credentials(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert len(set(made)) == 1 and make_credentials(tmp_path) == read_credentials(tmp_path) == made[0]
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_two_directories_have_different_passwords(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    four = {*make_credentials(tmp_path / "a"), *make_credentials(tmp_path / "b")}
    assert len(four) == 4


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"app": 1, "viewer": 2}', '{"app": "a@b/", "viewer": "x"}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ConfigurationError, match="remove the file"):
        make_credentials(tmp_path)


def test_settings_know_the_passwords_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text(json.dumps({"kafka": 1, "clickhouse": 2}))
    assert load_settings({}, data_dir=tmp_path).clickhouse.password == ""
    app, viewer = make_credentials(tmp_path)
    settings = load_settings({}, data_dir=tmp_path)
    assert settings.clickhouse_url.get_secret_value() == f"http://app:{app}@127.0.0.1:2/upshot"
    assert (
        local_viewer(settings).clickhouse_url.get_secret_value()
        == f"http://viewer:{viewer}@127.0.0.1:2/upshot"
    )
    elsewhere = Settings.model_validate({"clickhouse_url": "http://a:b@c/d", "data_dir": tmp_path})
    assert local_viewer(elsewhere) == elsewhere
    assert app not in repr(settings) and app not in str(settings)

"""Kafka's files: fetched once, checked always, and never half there."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from upshot.errors import PartFailed
from upshot.local import jars
from upshot.local.jars import ENDPOINT, Jar, Repository, kafka_jars, read_lock_file

NAMED = "org.slf4j:slf4j-api:"
"""A small one of them."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are no news."""


@pytest.fixture(scope="module")
def jar() -> tuple[Jar, bytes]:
    """One pinned file and its content, from the repository of this machine."""
    kafka_jars(report=lambda line: None)
    [found] = [jar for jar in read_lock_file() if f"{jar.group}:{jar.artifact}:" == NAMED]
    return found, Repository().path(found).read_bytes()


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jar: tuple[Jar, bytes]) -> Iterator[Path]:
    """A Maven repository over HTTP, the only one there is: the folder that it serves."""
    folder = tmp_path / "remote"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
    lock_file = tmp_path / "jars.lock"
    pinned, _ = jar
    lock_file.write_text(f"{pinned.group}:{pinned.artifact}:{pinned.version} {pinned.sha256}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "local"))
    monkeypatch.setattr(jars, "LOCK_FILE", lock_file)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def offer(remote: Path, jar: Jar, content: bytes) -> None:
    path = remote / Repository().path(jar).relative_to(Repository().root)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_a_missing_file_is_fetched_once_and_said(remote: Path, jar: tuple[Jar, bytes]) -> None:
    pinned, content = jar
    offer(remote, pinned, content)
    lines: list[str] = []
    [path] = kafka_jars(lines.append)
    assert path.read_bytes() == content
    assert lines == [f"fetching Apache Kafka {jars.KAFKA_VERSION}, once: file 1 of 1"]
    shutil.rmtree(remote)
    assert kafka_jars(lines.append) == [path]
    assert len(lines) == 1


def test_half_a_file_is_fetched_again(remote: Path, jar: tuple[Jar, bytes]) -> None:
    pinned, content = jar
    offer(remote, pinned, content)
    path = Repository().path(pinned)
    path.parent.mkdir(parents=True)
    path.write_bytes(content[: len(content) // 2])
    assert kafka_jars(lambda line: None) == [path]
    assert path.read_bytes() == content


def test_a_file_that_is_nowhere_is_named(remote: Path, jar: tuple[Jar, bytes]) -> None:
    pinned, _ = jar
    with pytest.raises(PartFailed, match=rf"{pinned.artifact}-{pinned.version}\.jar could not be fetched"):
        kafka_jars(lambda line: None)


def test_a_network_that_is_away_is_said(
    remote: Path, jar: tuple[Jar, bytes], tmp_path: Path, unused_tcp_port: int
) -> None:
    (tmp_path / "jgo.conf").write_text(f"[repositories]\ncentral = http://127.0.0.1:{unused_tcp_port}\n")
    with pytest.raises(PartFailed, match="could not be fetched; nothing was started"):
        kafka_jars(lambda line: None)


def test_another_file_by_the_same_name_is_refused(remote: Path, jar: tuple[Jar, bytes]) -> None:
    pinned, content = jar
    offer(remote, pinned, content + b"and more")
    with pytest.raises(PartFailed, match="is not the pinned file"):
        kafka_jars(lambda line: None)
    assert not Repository().has(pinned)


def test_the_lock_file_is_of_the_versions_we_name() -> None:
    pinned = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in read_lock_file()}
    assert set(ENDPOINT.rstrip("!").split("+")) <= pinned

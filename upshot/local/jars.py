"""Apache Kafka's jars: pinned by hash in `kafka-jars.lock`, fetched once, kept in the local Maven repository.

`python -m upshot.local.jars` resolves the lock file anew, after a change of `ENDPOINT`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jgo
import requests
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from upshot.errors import PartFailed
from upshot.local.lock import queue

KAFKA_VERSION = "4.4.0"
# The second is the binding that makes Kafka log; `!` keeps it from changing the versions of Kafka's own jars.
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:2.25.5!"
LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
REPORT_EVERY = 10


class Jar(NamedTuple):
    """One pinned file of the class path."""

    group: str
    artifact: str
    version: str
    sha256: str


def kafka_jars(report: Callable[[str], None]) -> list[Path]:
    """The class path of the pinned Kafka; missing jars are fetched, and `report` gets a line about this.

    Every file is checked against its hash: an interrupted fetch leaves half a file behind. Raises PartFailed
    when a file cannot be fetched or differs from the pinned file; a new try goes on from there.
    """
    repository = Repository()
    jars = read_lock_file()
    if any(not repository.has(jar) for jar in jars):
        os.makedirs(repository.root, exist_ok=True)
        # Two processes fetching the same file at once would break the file.
        with queue(repository.root / ".upshot.lock"):
            _fetch(repository, [jar for jar in jars if not repository.has(jar)], report)
    return [repository.path(jar) for jar in jars]


class Repository:
    """The Maven repository on this machine (`M2_REPO`, or jgo's configuration),
    filled from the remote one.
    """

    def __init__(self) -> None:
        config = GlobalSettings.load()
        remote = {"central": MAVEN_CENTRAL_URL} | config.repositories
        # Not jgo.build, which fetches a whole second JDK to sort jars into modules, unused here.
        self._context = MavenContext(repo_cache=config.repo_cache, remote_repos=remote)
        self.root = Path(self._context.repo_cache)

    def path(self, jar: Jar) -> Path:
        folder = self.root.joinpath(*jar.group.split("."), jar.artifact, jar.version)
        return folder / f"{jar.artifact}-{jar.version}.jar"

    def has(self, jar: Jar) -> bool:
        path = self.path(jar)
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256

    def fetch(self, jar: Jar) -> None:
        self.path(jar).unlink(missing_ok=True)
        component = self._context.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            component.artifact().resolve()
        except (RuntimeError, OSError, requests.RequestException) as error:
            raise PartFailed(
                f"Kafka's {self.path(jar).name} could not be fetched; nothing was started. The first start "
                f"needs the network once; start again when it is there: {error}"
            ) from error
        if not self.has(jar):
            raise PartFailed(
                f"what was fetched as {self.path(jar).name} is not the pinned file; nothing was started: "
                f"check the Maven repository {', '.join(self._context.remote_repos.values())}"
            )


def _fetch(repository: Repository, missing: Sequence[Jar], report: Callable[[str], None]) -> None:
    for number, jar in enumerate(missing):
        if number % REPORT_EVERY == 0:
            report(f"fetching Apache Kafka {KAFKA_VERSION}, once: file {number + 1} of {len(missing)}")
        repository.fetch(jar)


def read_lock_file() -> list[Jar]:
    """The pinned jars."""
    return [Jar(*line.replace(":", " ").split()) for line in LOCK_FILE.read_text().splitlines()]


def write_lock_file() -> None:
    """Resolve `ENDPOINT` and pin the result."""
    pinned = []
    for artifact in jgo.resolve(ENDPOINT):
        sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        pinned.append(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {sha256}\n")
    LOCK_FILE.write_text("".join(sorted(pinned)))


__all__ = ["KAFKA_VERSION", "Jar", "Repository", "kafka_jars", "read_lock_file", "write_lock_file"]

if __name__ == "__main__":
    write_lock_file()

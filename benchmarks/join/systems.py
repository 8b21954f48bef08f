"""The systems that are compared, each declared once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import kafka_streams

PEERS = Path(__file__).with_name("peers")
OURS, OURS_TWICE = "upshot", "upshot-2"

Command = Callable[[str, str, Path], Sequence[str]]


@dataclass(frozen=True)
class System:
    """`portion` of the events is what a slow system gets. `changelog` and `group` are name patterns of
    `{app}`.

    A system without a group tells by itself when everything is committed; one without a changelog keeps
    its state elsewhere. `makes_changelog` says whether it creates that topic itself.
    """

    name: str
    what: str
    command: Command
    changelog: str | None = "{app}-changelog"
    makes_changelog: bool = False
    group: str | None = "{app}"
    portion: float = 1.0
    #: Several tell the moment of the first record, and not what all of them had used by then.
    processes: int = 1
    #: Why it can't run here; None when it can.
    lacks: Callable[[], str | None] = lambda: None


def _python(script: str, *extra: str) -> Command:
    def command(kafka: str, app: str, folder: Path) -> Sequence[str]:
        return [sys.executable, str(PEERS / script), kafka, app, str(folder), *extra]

    return command


def _streams(name: str, what: str, store: str, threads: int = 1) -> System:
    return System(
        name,
        what,
        partial(kafka_streams.command, store, threads),
        changelog="{app}-state-changelog",
        makes_changelog=True,
        lacks=kafka_streams.lacks,
    )


_UPSHOT = System(
    OURS,
    "Upshot's worker, role correlate, as deployed",
    _python("upshot_worker.py"),
    changelog="{app}-correlate-subjects-changelog",
    makes_changelog=True,
    group="{app}-correlate",
)

SYSTEMS = (
    _UPSHOT,
    replace(
        _UPSHOT,
        name=OURS_TWICE,
        what="the same with --processes 2",
        command=_python("upshot_worker.py", "2"),
        processes=2,
    ),
    System(
        "faust-memory",
        "Faust, memory table, at least once",
        _python("faust_join.py", "memory://"),
        changelog="{app}-state-changelog",
        makes_changelog=True,
        portion=1 / 16,
    ),
    System(
        "faust-rocksdb",
        "Faust, RocksDB table, at least once",
        _python("faust_join.py", "rocksdb://?driver=rocksdict"),
        changelog="{app}-state-changelog",
        makes_changelog=True,
        portion=1 / 16,
    ),
    System(
        "quixstreams",
        "Quix Streams, RocksDB state",
        _python("quix_join.py"),
        changelog=None,
        makes_changelog=True,
        portion=1 / 2,
    ),
    System(
        "bytewax",
        "bytewax with recovery, no changelog in Kafka",
        _python("bytewax_join.py"),
        changelog=None,
        group=None,
        portion=1 / 2,
    ),
    System("aiokafka-awaited", "aiokafka, one awaited send per record, dict", _python("aiokafka_awaited.py")),
    System("aiokafka-batches", "aiokafka, a batch per partition, dict", _python("aiokafka_batches.py")),
    System("confluent", "confluent-kafka, dict", _python("confluent_join.py")),
    _streams("streams-rocksdb", "Kafka Streams, RocksDB store", "rocksdb"),
    _streams("streams-rocksdb-2", "the same with two threads", "rocksdb", threads=2),
    _streams("streams-memory", "Kafka Streams, in-memory store", "memory"),
)

"""The registry of experiments in a process: the topic's records; else their copy on disk."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from upshot.experiments.definition import Definition, Source, of_record
from upshot.private_files import private_folder, write_private
from upshot.schemas.experiments import Experiment

logger = logging.getLogger("upshot")


class RecordReader(Protocol):
    """Reads the registry's topic in a thread of its own, and hands over all records after each change."""

    def start(self) -> None:
        """Begin; returns at once."""

    def close(self) -> None:
        """End, within a second or so."""


#: Makes a reader from the function taking the present records, by experiment.
MakeReader = Callable[[Callable[[Mapping[str, Experiment]], None]], RecordReader]


class Registry:
    """What is registered, as far as this process knows. Asking costs a look into a dict and never waits.

    `following` reads the topic; None for processes without Kafka, such as tests. `copy` is the file with the
    copy on disk; `origin` names the topic copied, and another topic's copy doesn't count.
    """

    def __init__(self, following: MakeReader | None, copy: Path | None, origin: str = "") -> None:
        self._following = following
        self._copy = copy
        self._origin = origin
        self._definitions: Mapping[str, Definition] | None = None
        self._reader: RecordReader | None = None
        self._pid = 0
        self._mutex = threading.Lock()
        self._read = threading.Event()

    def definition(self, name: str) -> Definition | None:
        """The definition of an experiment; None for an unregistered experiment."""
        if self._pid != os.getpid():
            self._begin()
        assert self._definitions is not None
        return self._definitions.get(name)

    @property
    def is_read(self) -> bool:
        """Whether the topic was read in this process; else the copy on disk is all there is."""
        return self._read.is_set()

    def names(self) -> Collection[str]:
        """The registered experiments."""
        return (self._definitions or {}).keys()

    def wait(self, timeout: float) -> bool:
        """Wait until the topic was read, at most `timeout` seconds; whether it was."""
        if self._following is None:
            return False
        if self._pid != os.getpid():
            self._begin()
        return self._read.wait(timeout)

    def close(self) -> None:
        """Stop following; the next question begins anew."""
        with self._mutex:
            reader, self._reader, self._pid = self._reader, None, 0
        if reader is not None:
            reader.close()

    def take(self, records: Mapping[str, Experiment]) -> None:
        """Take over the present records of the topic."""
        self._definitions = _definitions(records, "registry")
        self._read.set()
        self._keep(records)

    def _begin(self) -> None:
        """At the first question, and again in a child after a fork: threads don't come along."""
        with self._mutex:
            if self._pid == os.getpid():
                return
            if self._definitions is None:
                self._definitions = self._from_copy()
            if self._following is not None:
                self._reader = self._following(self.take)
                self._reader.start()
            self._pid = os.getpid()

    def _from_copy(self) -> Mapping[str, Definition]:
        if self._copy is None:
            return {}
        try:
            stored = json.loads(self._copy.read_text(encoding="utf-8"))
            if stored["origin"] != self._origin:
                return {}
            records = {name: Experiment.model_validate(one) for name, one in stored["experiments"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ValidationError):
            return {}
        return _definitions(records, "cache")

    def _keep(self, records: Mapping[str, Experiment]) -> None:
        if self._copy is None:
            return
        stored = {name: one.model_dump(mode="json", exclude_unset=True) for name, one in records.items()}
        try:
            private_folder(self._copy.parent)
            write_private(self._copy, json.dumps({"origin": self._origin, "experiments": stored}))
        except OSError as error:
            logger.debug("the registry of experiments has no copy in %s: %s", self._copy, error)


def _definitions(records: Mapping[str, Experiment], source: Source) -> Mapping[str, Definition]:
    return {name: of_record(record, source) for name, record in records.items()}


__all__ = ["MakeReader", "RecordReader", "Registry"]

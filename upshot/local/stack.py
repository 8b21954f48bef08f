"""Several components as a unit: started in order, watched, restarted when dead, stopped in reverse order."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from upshot.local.component import Component
from upshot.local.lock import lock
from upshot.local.process import close_data_dir
from upshot.local.supervisor import Supervisor, stopping_on_signals
from upshot.private_files import write_private

Ports = dict[str, int | None]


class Stack:
    """Supervises `parts` in `data_dir`, from a single thread: `run()`, or `start()`, `supervise()`, `stop()`.

    `parts` may be a generator: each component is taken when all earlier components answer, so a component can
    be made from their addresses. While all of them are up, `data_dir/ports.json` has their ports. Nothing is
    printed: `report` gets a line for people now and then, `when_ready` the ports, once.
    """

    def __init__(
        self,
        data_dir: Path,
        parts: Iterable[Component],
        *,
        report: Callable[[str], None] = lambda line: None,
        when_ready: Callable[[Ports], None] = lambda ports: None,
        ready_within: float = 120.0,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._parts = parts
        self._report = report
        self._when_ready = when_ready
        self._ready_within = ready_within
        self._supervisor = Supervisor(report=report, ready_within=ready_within)
        self._held = ExitStack()

    @property
    def parts(self) -> Sequence[Component]:
        """The components started so far."""
        return self._supervisor.parts

    @property
    def ports_file(self) -> Path:
        return self._data_dir / "ports.json"

    def run(self, stop: threading.Event) -> None:
        """Start everything, watch until `stop` is set or SIGINT or SIGTERM comes, stop everything.

        Raises PartFailed, with everything stopped, when a component does not come up the first time. A
        component dying later is started again, however often. Handles signals in the main thread alone.
        """
        with stopping_on_signals(stop):
            try:
                self.start(stop)
                self.supervise(stop)
            finally:
                self.stop()

    def start(self, stop: threading.Event | None = None) -> None:
        """Start the parts; return once all answer, or once `stop` is set. After a failure call `stop()`."""
        stop = stop or threading.Event()
        if close_data_dir(self._data_dir):
            self._report(
                f"others may look into {self._data_dir}, which is not Upshot's alone: what is Upshot's in it "
                "is closed"
            )
        held = lock(self._data_dir / "run" / "stack.lock", "a stack")
        self._held.callback(os.close, held)
        self.ports_file.unlink(missing_ok=True)  # of a killed stack
        for part in self._parts:
            self._supervisor.start(part)
            part.wait_ready(self._ready_within, stop)
            if stop.is_set():
                return
        ports = self._write_ports()
        self._when_ready(ports)

    def supervise(self, stop: threading.Event) -> None:
        """Restart dead components, until `stop` is set."""
        self._supervisor.supervise(stop)

    def stop(self) -> None:
        """Stop the components, the last first; harmless when nothing runs."""
        with self._held.pop_all():  # the lock, if it was ours
            if self.parts:
                self.ports_file.unlink(missing_ok=True)
            self._supervisor.stop()

    def _write_ports(self) -> Ports:
        """Write the file atomically: a reader finds all of the file or none."""
        known = {part.name: part.port for part in self.parts if part.port}
        ports: Ports = {**dict.fromkeys(("kafka", "clickhouse", "web")), **known}
        write_private(self.ports_file, json.dumps(ports))
        return ports


__all__ = ["Ports", "Stack"]

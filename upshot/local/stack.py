"""Several components as a unit: started in order, watched, restarted when dead, stopped in reverse order."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upshot.errors import PartFailed
from upshot.local.component import Component
from upshot.local.lock import lock
from upshot.local.process import close_data_dir
from upshot.private_files import write_private

Ports = dict[str, int | None]

LOOK = 0.1
"""Seconds between looks at the components."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds before a dead component is restarted: doubled each time, until steady for STEADY seconds."""
STEADY = 60.0
STOP_WITHIN = 20.0
"""Seconds that each component has to end cleanly; then it is killed."""


@dataclass
class Watched:
    """A component, with the supervisor's notes about the component."""

    part: Component
    since: float
    delay: float = FIRST_DELAY
    again_at: float | None = None
    """It is dead, and started again then."""
    ready_by: float | None = None
    """It was started again, and has not answered yet."""


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
        self._watched: list[Watched] = []
        self._held = ExitStack()

    @property
    def parts(self) -> list[Component]:
        """The components started so far."""
        return [watched.part for watched in self._watched]

    @property
    def ports_file(self) -> Path:
        return self._data_dir / "ports.json"

    def run(self, stop: threading.Event) -> None:
        """Start everything, watch until `stop` is set or SIGINT or SIGTERM comes, stop everything.

        Raises PartFailed, with everything stopped, when a component does not come up the first time. A
        component dying later is started again, however often. Handles signals in the main thread alone.
        """
        with _signals(stop):
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
            self._watched.append(Watched(part, time.monotonic()))
            part.start()
            part.wait_ready(self._ready_within, stop)
            if stop.is_set():
                return
        ports = self._write_ports()
        self._when_ready(ports)

    def supervise(self, stop: threading.Event) -> None:
        """Restart dead components, until `stop` is set."""
        while not stop.wait(LOOK):
            for watched in self._watched:
                self._look_after(watched, time.monotonic())

    def stop(self) -> None:
        """Stop the components, the last first; harmless when nothing runs."""
        with self._held.pop_all():  # the lock, if it was ours
            if self._watched:
                self.ports_file.unlink(missing_ok=True)
            while self._watched:
                self._watched.pop().part.stop(STOP_WITHIN)

    def _look_after(self, watched: Watched, now: float) -> None:
        # Nothing here waits for a component, which may answer only after the restart of another dead one.
        part = watched.part
        if not part.alive():
            if watched.again_at is None:
                self._postpone(watched, f"{part.name} {part.last_end()}")
            elif now >= watched.again_at:
                self._start_again(watched, now)
        elif watched.ready_by is not None:
            self._ask(watched, now, watched.ready_by)
        elif now - watched.since > STEADY:
            watched.delay = FIRST_DELAY

    def _start_again(self, watched: Watched, now: float) -> None:
        try:
            watched.part.start()
        except PartFailed as error:
            self._postpone(watched, _first_line(error))
        else:
            watched.since, watched.again_at, watched.ready_by = now, None, now + self._ready_within

    def _ask(self, watched: Watched, now: float, ready_by: float) -> None:
        """Whether a restarted component answers; a component not answering in time is ended."""
        part = watched.part
        try:
            if part.ready():
                watched.ready_by = None
                self._report(f"{part.name} runs again")
            elif now > ready_by:
                raise PartFailed(f"{part.name} did not answer within {self._ready_within:g} s")
        except PartFailed as error:
            part.kill()
            self._postpone(watched, _first_line(error))

    def _postpone(self, watched: Watched, what: str) -> None:
        watched.again_at, watched.ready_by = time.monotonic() + watched.delay, None
        self._report(f"{what}; it is started again in {watched.delay:g} s; its log is {watched.part.log}")
        watched.delay = min(2 * watched.delay, LONGEST_DELAY)

    def _write_ports(self) -> Ports:
        """Write the file atomically: a reader finds all of the file or none."""
        known = {part.name: part.port for part in self.parts if part.port}
        ports: Ports = {**dict.fromkeys(("kafka", "clickhouse", "web")), **known}
        write_private(self.ports_file, json.dumps(ports))
        return ports


def _first_line(error: PartFailed) -> str:
    return str(error).splitlines()[0].rstrip(".:")


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGINT or SIGTERM in the block sets the event; the second signal acts as before the block."""
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: object) -> None:
        restore()
        # Not set from here: the interrupted code may be inside the event, with its lock held.
        threading.Thread(target=stop.set).start()

    if threading.current_thread() is threading.main_thread():
        before |= {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()


__all__ = ["Ports", "Stack"]

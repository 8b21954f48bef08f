"""Components watched from one thread: started again when dead, ever more slowly; stopped in reverse order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from upshot.backoff import Backoff
from upshot.errors import PartFailed
from upshot.local.component import Component

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
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_DELAY, LONGEST_DELAY))
    again_at: float | None = None
    """It is dead, and started again then."""
    ready_by: float | None = None
    """It was started again, and has not answered yet."""


class Supervisor:
    """Restarts dead components, one after another, without waiting for any of them.

    `report` gets a line for people at each death and each return. `check_end` gets a component that was found
    dead, and may raise where a restart wouldn't help: the error leaves `supervise`.
    """

    def __init__(
        self,
        *,
        report: Callable[[str], None] = lambda line: None,
        check_end: Callable[[Component], None] = lambda part: None,
        ready_within: float = 120.0,
    ) -> None:
        self._report = report
        self._check_end = check_end
        self._ready_within = ready_within
        self._watched: list[Watched] = []

    @property
    def parts(self) -> Sequence[Component]:
        """The components started so far."""
        return [watched.part for watched in self._watched]

    def start(self, part: Component) -> None:
        """Start the component and watch it. Raises PartFailed; `stop` ends it all the same."""
        self._watched.append(Watched(part, time.monotonic()))
        part.start()

    def supervise(self, stop: threading.Event) -> None:
        """Restart dead components, until `stop` is set."""
        while not stop.wait(LOOK):
            for watched in self._watched:
                self._look_after(watched, time.monotonic())

    def stop(self) -> None:
        """Stop the components, the last first; harmless when nothing runs."""
        while self._watched:
            self._watched.pop().part.stop(STOP_WITHIN)

    def _look_after(self, watched: Watched, now: float) -> None:
        # Nothing here waits for a component, which may answer only after the restart of another dead one.
        part = watched.part
        if not part.alive():
            if watched.again_at is None:
                self._check_end(part)
                self._postpone(watched, f"{part.name} {part.last_end()}")
            elif now >= watched.again_at:
                self._start_again(watched, now)
        elif watched.ready_by is not None:
            self._ask(watched, now, watched.ready_by)
        elif now - watched.since > STEADY:
            watched.backoff.reset()

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
        pause = watched.backoff.pause()
        watched.again_at, watched.ready_by = time.monotonic() + pause, None
        log = f"; its log is {watched.part.log}" if watched.part.log else ""
        self._report(f"{what}; it is started again in {pause:g} s{log}")


def _first_line(error: PartFailed) -> str:
    return str(error).splitlines()[0].rstrip(".:")


@contextmanager
def stopping_on_signals(stop: threading.Event) -> Iterator[None]:
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


__all__ = ["Supervisor", "stopping_on_signals"]

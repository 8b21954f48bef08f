"""Follow-ups with code missing here: counted, and logged now and then."""

from __future__ import annotations

import logging
from collections import Counter

from upshot.processors.followups.execution import FollowupSpec
from upshot.streams.events.instants import Micros

#: Microseconds between two looks for the code, and between two lines in the log.
LOOK_AGAIN: Micros = 60_000_000
#: Most scorers named by a line.
_NAMED = 10


class Undeployed:
    """Knows the follow-ups of our partitions waiting for code missing in this worker."""

    def __init__(self) -> None:
        self._code: dict[str, tuple[str, str]] = {}
        self._tell_at: Micros = 0

    def add(self, origin: FollowupSpec) -> None:
        """Another follow-up, or a known one again."""
        self._code[origin.followup_id] = (origin.scorer, origin.version)

    def remove(self, followup_id: str) -> None:
        """The follow-up's code is there, or the follow-up isn't ours any more."""
        self._code.pop(followup_id, None)

    def forget(self) -> None:
        """No follow-up is ours any more."""
        self._code = {}

    def counts(self) -> Counter[tuple[str, str]]:
        """The number of waiting follow-ups by scorer and version. Callable from any thread."""
        return Counter(self._code.copy().values())

    def tell(self, log: logging.Logger, now: Micros) -> None:
        """A line in the log, at most once a minute, while any follow-up waits."""
        if not self._code or now < self._tell_at:
            return
        self._tell_at = now + LOOK_AGAIN
        counts = self.counts().most_common()
        named = ", ".join(f"{name} version {version} ({n})" for (name, version), n in counts[:_NAMED])
        more = f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
        log.warning(
            "follow-ups wait for code that this worker's app doesn't have: %s%s. They are kept, and go on "
            "once an app with that code is deployed",
            named,
            more,
        )


__all__ = ["LOOK_AGAIN", "Undeployed"]

"""Facts of follow-ups as records of their topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from upshot.errors import InvalidEvent
from upshot.processors.followups.encode import (
    encode_deferral,
    encode_more,
    encode_score,
    encode_status,
    encode_wait,
    encode_wait_cancellation,
)
from upshot.processors.followups.facts import (
    DeferralCancelled,
    DeferredMore,
    Fact,
    GaveUp,
    Opened,
    ScoreEmitted,
    Stands,
    WaitCancelled,
)
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import Output


class Outputs:
    """Makes outputs of facts. `dead_letters` counts by reason."""

    def __init__(self, settings: Settings, dead_letters: Counter[str]) -> None:
        self._settings = settings
        self._dead_letters = dead_letters
        self._waits = settings.topic("waits")
        self._scores = settings.topic("scores")
        self._deferrals = settings.topic("deferrals")
        self._followups = settings.topic("followups")

    def of(self, facts: Iterable[Fact]) -> list[Output]:
        """A record for each fact."""
        return [self._output(fact) for fact in facts]

    def _output(self, fact: Fact) -> Output:
        match fact:
            case Opened(wait=wait):
                return Output(self._waits, None, wait.subject.encode(), encode_wait(fact))
            case WaitCancelled(subject=subject):
                return Output(self._waits, None, subject.encode(), encode_wait_cancellation(fact))
            case ScoreEmitted(origin=origin):
                return Output(self._scores, None, origin.run_id.encode(), encode_score(fact))
            case DeferredMore(origin=origin) | DeferralCancelled(origin=origin):
                return Output(self._deferrals, None, origin.followup_id.encode(), encode_more(fact))
            case Stands(origin=origin):
                return Output(self._followups, None, origin.followup_id.encode(), encode_status(fact))
            case GaveUp():
                return self._gave_up(fact)
            case _:
                assert_never(fact)

    def _gave_up(self, fact: GaveUp) -> Output:
        """The time is the failure's, perhaps weeks after the deferral's: then somebody has to look."""
        origin, state, place = fact.origin, fact.state, fact.state.place
        record = Fetched(
            self._deferrals,
            place.partition if place else 0,
            place.offset if place else 0,
            state.changed_at // 1000,
            origin.followup_id.encode(),
            encode_deferral(origin),
            (),
            place.made if place else "",
        )
        detail = (
            f"{origin.scorer} version {origin.version}, follow-up {origin.followup_id} of run "
            f"{origin.run_id}: {state.error}; mend and deploy the code, then: upshot followups retry "
            f"{origin.followup_id}"
        )
        error = InvalidEvent("followup_failed", detail)
        self._dead_letters[error.reason] += 1
        return dead_letter(self._settings, record, error, about=f"{origin.followup_id} {state.failures}")


__all__ = ["Outputs"]

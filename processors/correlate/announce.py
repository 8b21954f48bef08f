"""Facts of the join as outputs: each to its topic, with its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from upshot.errors import InvalidEvent
from upshot.processors.correlate.encode import encode_resumption, encode_score, outcome_bytes, refusal
from upshot.processors.correlate.facts import Fact, Replied, ScoreRevised, UnusableOutcome
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import Output


class Announcer:
    """Makes outputs of facts, and counts the dead letters by reason."""

    def __init__(self, settings: Settings, dead_letters: Counter[str]) -> None:
        self._settings = settings
        self._outcomes = settings.topic("outcomes")
        self._resumptions = settings.topic("resumptions")
        self._scores = settings.topic("scores")
        self._dead_letters = dead_letters

    def outputs(self, facts: Iterable[Fact]) -> list[Output]:
        """An output for each fact."""
        return [self._output(fact) for fact in facts]

    def _output(self, fact: Fact) -> Output:
        match fact:
            case ScoreRevised():
                return Output(self._scores, None, fact.wait.run_id.encode(), encode_score(fact))
            case Replied():
                asker = (fact.wait.reply_to or "").encode()
                return Output(self._resumptions, None, asker, encode_resumption(fact))
            case UnusableOutcome():
                return self._refused(fact)

    def _refused(self, fact: UnusableOutcome) -> Output:
        outcome = fact.outcome
        record = Fetched(
            self._outcomes,
            outcome.partition,
            outcome.offset,
            outcome.arrived // 1000,
            fact.subject.encode(),
            outcome_bytes(fact.subject, outcome),
            (),
            outcome.made,
        )
        error = InvalidEvent("unusable_outcome", refusal(fact))
        self._dead_letters[error.reason] += 1
        return dead_letter(self._settings, record, error, about=fact.wait.wait_id)


__all__ = ["Announcer"]

"""Finds spans of the same model call, so that the call's usage counts once.

Usage counts on the innermost span stating the usage. Of several spans side by side about the same call (two
instrumentations, or a library with tracing of its own) only one counts. Two spans are twins if they name the
same response of the provider's (of one instrumentation also at the same time); or, where no id contradicts,
if two instrumentations name the same model, the same tokens, and the time of one lies within the time of the
other.

The same rule stands in ClickHouse's view `steps`, for spans arriving over OTLP in any batches.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from upshot.otel import vocabulary
from upshot.otel.names import family_of
from upshot.otel.reading import LONGEST_ID, Attributes, as_texts, text

#: How the ids of answers begin: those of tool calls stand in the same texts.
_ANSWER_ID = re.compile(
    r'\\?"(?:id|response_id)\\?"\s*:\s*\\?"((?:chatcmpl|msg|resp|cmpl|gen)[-_][\w.-]{4,200})\\?"'
)
_STOP = re.compile(r'\\?"(?:finish_reason|stop_reason|finishReason)\\?"\s*:\s*\\?"([A-Za-z_]{2,40})\\?"')
#: Where OpenInference keeps the whole answer.
_ANSWER = "output.value"
_LONGEST_ANSWER = 1_000_000


class Call(NamedTuple):
    """Distinguishes model calls: facts from a span or a step with usage. Times are of any one unit."""

    step: str
    parent: str | None
    instrumentation: str
    name: str
    response_id: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    started: int
    ended: int
    priced: bool

    @property
    def alike(self) -> tuple[str, int | None, int | None] | None:
        """The common facts of twins; None where the facts are too few for a comparison."""
        if not self.model or not (self.input_tokens or self.output_tokens) or self.ended <= 0:
            return None
        return family_of(self.model), self.input_tokens, self.output_tokens

    @property
    def teller(self) -> tuple[str, str]:
        """The reporter: none reports a call twice under the same name. Steps without a span share one."""
        return (self.instrumentation, self.name) if self.instrumentation else ("", "")

    @property
    def rank(self) -> tuple[bool, bool, int, int, int]:
        """Of twins the lowest counts: tokens first, then a cost, then always the same instrumentation."""
        teller = crc32("\0".join(self.teller).encode("utf-8", "replace")) if self.instrumentation else 0
        untold = self.input_tokens is None and self.output_tokens is None
        return untold, not self.priced, teller, self.started, crc32(self.step.encode("utf-8", "replace"))


def are_twins(one: Call, other: Call) -> bool:
    """Whether two spans, neither above the other, report the same call."""
    if one.response_id and other.response_id:
        if one.response_id != other.response_id:
            return False
        # Some servers give one id to all of their answers: an instrumentation's calls one after the other are
        # several.
        return one.teller != other.teller or _overlap(one, other) or _one_within_the_other(one, other)
    if one.teller == other.teller or one.alike is None or one.alike != other.alike:
        return False
    return _one_within_the_other(one, other)


def _overlap(one: Call, other: Call) -> bool:
    return one.started < other.ended and other.started < one.ended


def _one_within_the_other(one: Call, other: Call) -> bool:
    first, second = sorted((one, other), key=lambda call: (call.started, -call.ended))
    return second.ended <= first.ended


def repeats_of(calls: Sequence[Call], parents: Mapping[str, str | None]) -> dict[str, str]:
    """The steps with uncounted usage, each with the step of the counted usage; the order of calls is free.

    `parents` has the parent of every step of the run, including steps without usage.
    """
    above: dict[str, str] = {}
    for call in sorted(calls, key=lambda call: call.step):
        parent = call.parent
        while parent is not None and parent != call.step and parent not in above:
            above[parent] = call.step
            parent = parents.get(parent)
    stated = {call.step for call in calls}
    repeated = {step: below for step, below in above.items() if step in stated}
    innermost = [call for call in calls if call.step not in above]
    for group in _that_may_be_twins(innermost):
        ranked = sorted(group, key=lambda call: call.rank)
        for place, call in enumerate(ranked):
            twin = next((before for before in ranked[:place] if are_twins(before, call)), None)
            if twin is not None:
                repeated.setdefault(call.step, twin.step)
    return repeated


def _that_may_be_twins(calls: Iterable[Call]) -> Iterable[list[Call]]:
    groups: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        if call.response_id:
            groups[call.response_id].append(call)
        if call.alike is not None:
            groups[call.alike].append(call)
    return [group for group in groups.values() if len(group) > 1]


class Counting:
    """The usage counted so far, for spans arriving as they end, children mostly before their parents."""

    def __init__(self) -> None:
        self._parents: dict[str, str | None] = {}
        #: Spans above a span with usage, and counted spans.
        self._above: dict[str, str] = {}
        self._counted: dict[str, Call] = {}
        #: Counted spans with a cost from a twin.
        self._priced: set[str] = set()
        self._by_response: dict[str, list[Call]] = defaultdict(list)
        self._alike: dict[tuple[str, int | None, int | None], list[Call]] = defaultdict(list)

    def passed(self, step: str, parent: str | None) -> None:
        """A span without usage has ended."""
        self._parents[step] = parent
        if step in self._above and parent is not None:
            self._mark(parent, self._above[step])

    def repeats(self, call: Call) -> Call | str | None:
        """The earlier report of this usage: the id of a step below or around, or a twin. None: it counts."""
        self._parents[call.step] = call.parent
        stated = self._above.get(call.step) or self._around(call.parent)
        if call.parent is not None:
            self._mark(call.parent, call.step)
        if stated is not None:
            return stated
        twin = self._twin(call)
        if twin is None:
            self._counted[call.step] = call
            if call.response_id:
                self._by_response[call.response_id].append(call)
            if call.alike is not None:
                self._alike[call.alike].append(call)
        return twin

    def lacks_cost(self, counted: Call) -> bool:
        """Whether a counted call still has no cost; true once, for the first to ask."""
        lacks = not counted.priced and counted.step not in self._priced
        self._priced.add(counted.step)
        return lacks

    def _mark(self, step: str, because: str) -> None:
        place: str | None = step
        while place is not None and place not in self._above:
            self._above[place] = because
            place = self._parents.get(place)

    def _around(self, step: str | None) -> str | None:
        """An outer span already counted: the outer span ended before the spans inside."""
        seen: set[str] = set()
        while step is not None and step not in seen:
            if step in self._counted:
                return step
            seen.add(step)
            step = self._parents.get(step)
        return None

    def _twin(self, call: Call) -> Call | None:
        answered = self._by_response.get(call.response_id, ())
        alike = self._alike.get(call.alike, ()) if call.alike is not None else ()
        return next((other for other in (*answered, *alike) if are_twins(call, other)), None)


def response_id_of(attributes: Attributes) -> str | None:
    """The provider's id of its answer; OpenInference has the id inside the answer."""
    stated = text(attributes, vocabulary.RESPONSE_IDS, LONGEST_ID)
    answer = attributes.get(_ANSWER)
    if stated or not isinstance(answer, str) or len(answer) > _LONGEST_ANSWER:
        return stated
    if answer.startswith("{"):
        try:
            whole = json.loads(answer)
        except (ValueError, RecursionError):
            whole = {}
        first = whole.get("id") or whole.get("response_id")
        if isinstance(first, str) and 0 < len(first) <= LONGEST_ID:
            return first
    found = _ANSWER_ID.search(answer)
    return found[1] if found else None


def stops_in_answer(attributes: Attributes) -> list[str] | None:
    """The model's reasons to stop, where only the answer itself has them."""
    answer = attributes.get(_ANSWER)
    if not isinstance(answer, str) or not answer.startswith("{") or len(answer) > _LONGEST_ANSWER:
        return None
    return as_texts(list(dict.fromkeys(_STOP.findall(answer))))


__all__ = ["Call", "Counting", "are_twins", "repeats_of", "response_id_of", "stops_in_answer"]

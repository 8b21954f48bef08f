"""What must come of the input, computed from the records in Kafka the simple way.

Shares no code with the processors: it holds everything in memory, reads it once, in any order, and looks at
each wait and all outcomes of its subject. Knows of the contract what the load makes use of.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from benchmarks.chaos.hostile import COSTLY_FOR_SOME, DOUBLING, UNREADABLE_TIME
from benchmarks.chaos.journal import Entry

_LARGEST = 1_000_000
_DEEPEST = 200
_AHEAD = timedelta(days=1)
#: How long the load's follow-ups wait.
_FORTNIGHT = timedelta(days=14)
_NEEDS = {
    "runs": ("run_id", "agent"),
    "waits": ("run_id", "name", "subject", "rule"),
    "outcomes": ("subject", "type"),
    "scores": ("run_id", "name", "value"),
    "deferrals": ("followup_id", "run_id", "scorer"),
}

#: (run, name, subject): what a score of the load is about; the subject is empty for given ones.
About = tuple[str, str, str]
Place = tuple[str, int, int]


class Answer(NamedTuple):
    """A score as it must be at the end; `value` is None where the wait expired without one."""

    value: float | None
    reason: str
    kind: str = ""
    outcome_id: str = ""


class Letter(NamedTuple):
    """A dead letter that must be there once, for the record at one of `places`."""

    reason: str
    places: frozenset[Place]


@dataclass
class Truth:
    """What ClickHouse must show."""

    answers: dict[About, Answer] = field(default_factory=dict)
    open: set[About] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    waits: set[About] = field(default_factory=set)
    outcomes: set[tuple[str, str, str]] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list)


@dataclass
class _Told:
    """An outcome, at the earliest of the times that it was told with."""

    id: str
    type: str
    time: datetime
    data: Any
    places: set[Place] = field(default_factory=set)


@dataclass
class _Input:
    """The input, sorted by what it says."""

    runs: set[str] = field(default_factory=set)
    waits: dict[About, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)
    told: dict[str, dict[tuple[str, str], _Told]] = field(default_factory=lambda: defaultdict(dict))
    given: dict[About, tuple[datetime, Answer]] = field(default_factory=dict)
    refused: list[Letter] = field(default_factory=list)
    cancelled: dict[About, datetime] = field(default_factory=dict)
    #: Subject and beginning by run.
    deferred: dict[str, tuple[str, datetime]] = field(default_factory=dict)


def truth_of(entries: Iterable[Entry], now: datetime) -> Truth:
    """The truth as of `now`: deadlines before it have been judged."""
    read = _Input()
    for entry in entries:
        if not entry.forwarded:
            _take(entry, read)
    truth = Truth(
        answers={about: answer for about, (_, answer) in read.given.items()},
        runs=read.runs,
        waits=set(read.waits),
        outcomes={(subject, source, id) for subject, known in read.told.items() for source, id in known},
        letters=read.refused,
    )
    for about, (opened, event) in read.waits.items():
        told = list(read.told[about[2]].values())
        deadline = opened + _days_and_seconds(event["rule"]["within"])
        if about in read.cancelled and read.cancelled[about] <= deadline:
            _answer_cancelled(truth, about, opened, event["rule"], told, read.cancelled[about])
        else:
            _answer(truth, about, opened, event["rule"], told, now)
    for run_id, (ticket, begun) in read.deferred.items():
        _answer_followed_up(truth, run_id, ticket, begun, list(read.told[ticket].values()), now)
    return truth


def _answer_cancelled(
    truth: Truth, about: About, opened: datetime, rule: dict[str, Any], told: list[_Told], at: datetime
) -> None:
    """A wait that was cancelled: with its first outcome of up to then."""
    assert rule["mode"] in ("first", "count"), rule
    before = [outcome for outcome in told if outcome.type in rule["on"] and opened <= outcome.time <= at]
    first = min(before, key=lambda outcome: outcome.time, default=None)
    if rule["mode"] == "count" or first is None:
        truth.answers[about] = Answer(None, "cancelled")
    else:
        value = first.data["merged"]
        truth.answers[about] = Answer(float(value), "outcome", _kind(value), first.id)


def _answer_followed_up(
    truth: Truth, run_id: str, ticket: str, begun: datetime, told: list[_Told], now: datetime
) -> None:
    """What `benchmarks.chaos.scorers` come to.

    The first closing counts, and then whether there is a reopening.
    """
    closed = _first(told, "ticket.closed", begun, begun + _FORTNIGHT)
    if closed is None:
        return
    effort = Answer(float(closed.data["effort"]), "outcome", "number", closed.id)
    truth.answers[run_id, "closed", ticket] = effort
    deadline = closed.time + _FORTNIGHT
    reopened = _first(told, "ticket.reopened", begun, deadline)
    if reopened is not None:
        truth.answers[run_id, "stayed_closed", ticket] = Answer(0.0, "outcome", "boolean", reopened.id)
    elif deadline < now:
        truth.answers[run_id, "stayed_closed", ""] = Answer(1.0, "deadline", "boolean")


def _first(told: list[_Told], kind: str, since: datetime, until: datetime) -> _Told | None:
    found = [outcome for outcome in told if outcome.type == kind and since <= outcome.time <= until]
    return min(found, key=lambda outcome: outcome.time, default=None)


def _take(entry: Entry, read: _Input) -> None:
    if entry.value is None:
        return  # has its key forgotten, which is no subject of the load
    place = (entry.topic, entry.partition, entry.offset)
    event, reason = _parsed(entry)
    if reason:
        read.refused.append(Letter(reason, frozenset({place})))
    elif entry.topic == "runs":
        read.runs.add(event["run_id"])
    elif "reply_to" in event or "deferred_by" in event:
        return  # asked for by follow-ups
    elif entry.topic == "deferrals":
        read.deferred[event["run_id"]] = event["data"], _instant(event["deferred_at"])
    elif "cancelled_at" in event:
        about = (event["run_id"], event["name"], event["subject"])
        at = _instant(event["cancelled_at"])
        read.cancelled[about] = min(read.cancelled.get(about, at), at)
    elif entry.topic == "waits":
        about = (event["run_id"], event["name"], event["subject"])
        asked = (_instant(event["opened_at"]), event)
        read.waits[about] = min(read.waits.get(about, asked), asked, key=lambda pair: pair[0])
    elif entry.topic == "outcomes":
        _tell(read.told[event["subject"]], event, place)
    elif "reason" not in event:
        about = (event["run_id"], event["name"], "")
        said = (_instant(event["decided_at"]), Answer(float(event["value"]), "given", _kind(event["value"])))
        read.given[about] = max(read.given.get(about, said), said, key=lambda pair: pair[0])


def _parsed(entry: Entry) -> tuple[Any, str]:
    """The event, or why it's refused."""
    value = entry.value
    if not value:
        return None, "empty"
    if len(value) > _LARGEST:
        return None, "too_large"
    strange: list[str] = []
    try:
        event = json.loads(value, parse_constant=strange.append)
    except ValueError:
        return None, "not_json"
    except RecursionError:
        return None, "invalid_value"
    if strange:
        return None, "not_finite"
    if not isinstance(event, dict):
        return None, "not_an_object"
    if entry.topic == "outcomes" and not event.get("subject"):
        return None, "no_subject"
    if "cancelled_at" not in event and any(name not in event for name in _NEEDS[entry.topic]):
        return None, "missing_field"
    if _levels(event) > _DEEPEST or event.get("time") == UNREADABLE_TIME:
        return None, "invalid_value"
    if DOUBLING in (match["score"] for match in event.get("rule", {}).get("on", {}).values()):
        return None, "invalid_rule"
    written = datetime.fromtimestamp(entry.timestamp / 1000, UTC)
    stated = event.get("time") or event.get("opened_at")
    if stated and _instant(stated) > written + _AHEAD:
        return None, "absurd_time"
    return event, ""


def _levels(value: Any) -> int:
    """How deep lists and objects are nested in a value."""
    level, inside = 0, [value]
    while inside := [item for item in inside if isinstance(item, dict | list)]:
        level += 1
        inside = [each for item in inside for each in (item.values() if isinstance(item, dict) else item)]
    return level


def _tell(known: dict[tuple[str, str], _Told], event: dict[str, Any], place: Place) -> None:
    key = (event.get("source", ""), event["id"])
    time = _instant(event["time"])
    if key not in known or time < known[key].time:
        places = known[key].places if key in known else set()
        known[key] = _Told(event["id"], event["type"], time, event.get("data"), places)
    known[key].places.add(place)


def _answer(
    truth: Truth, about: About, opened: datetime, rule: dict[str, Any], told: list[_Told], now: datetime
) -> None:
    deadline = opened + _days_and_seconds(rule["within"])
    passed = deadline < now
    counted: list[tuple[_Told, Any]] = []
    for outcome in sorted(told, key=lambda outcome: (outcome.time, outcome.id)):
        match = rule["on"].get(outcome.type)
        if match is None or not opened <= outcome.time <= deadline:
            continue
        if "when" in match and _found(match["when"], outcome) is not True:
            continue
        value = True if rule.get("mode") == "count" else _found(match["score"], outcome)
        if isinstance(value, bool | int | float):
            counted.append((outcome, value))
        else:
            truth.letters.append(Letter("unusable_outcome", frozenset(outcome.places)))
    answer = _combined(rule, counted)
    if answer is None and passed:
        nothing = 0.0 if rule.get("mode") in ("count", "sum") and "else" not in rule else rule.get("else")
        answer = (
            Answer(None, "expired") if nothing is None else Answer(float(nothing), "deadline", _kind(nothing))
        )
    if answer is not None:
        truth.answers[about] = answer
    if not passed and (answer is None or rule.get("mode") in ("last", "count", "sum")):
        truth.open.add(about)


def _combined(rule: dict[str, Any], counted: list[tuple[_Told, Any]]) -> Answer | None:
    if not counted:
        return None
    mode = rule.get("mode", "first")
    last = counted[-1][0].id
    if mode in ("first", "last"):
        outcome, value = counted[0 if mode == "first" else -1]
        return Answer(float(value), "outcome", _kind(value), outcome.id)
    if mode == "count":
        return Answer(float(len(counted)), "outcome", "number", last)
    if mode == "sum":
        return Answer(float(sum(value for _, value in counted)), "outcome", "number", last)
    firsts: dict[str, tuple[_Told, Any]] = {}
    for outcome, value in counted:
        firsts.setdefault(outcome.type, (outcome, value))
    if len(firsts) < len(rule["on"]):
        return None
    latest = max(firsts.values(), key=lambda pair: (pair[0].time, pair[0].id))[0]
    value = min(value for _, value in firsts.values())
    return Answer(float(value), "outcome", _kind(value), latest.id)


def _found(path: Any, outcome: _Told) -> Any:
    if not isinstance(path, str):
        return path
    if path == COSTLY_FOR_SOME:
        given = outcome.data["list"]
        return None if given else given
    first, name = path.split(".")
    assert first == "data", path
    return outcome.data.get(name)


def _kind(value: Any) -> str:
    return "boolean" if isinstance(value, bool) else "number"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days_and_seconds(text: str) -> timedelta:
    """ISO 8601 as far as the load needs it: `P14D`, `P14DT5S`."""
    days, _, seconds = text.removeprefix("P").partition("DT")
    return timedelta(days=int(days.removesuffix("D")), seconds=int(seconds.removesuffix("S") or 0))


__all__ = ["About", "Answer", "Letter", "Place", "Truth", "truth_of"]

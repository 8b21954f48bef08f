"""Events of the contract as messages: checked where made, so that errors reach the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from upshot.errors import Misuse
from upshot.followups.scorers import Scorer
from upshot.otel.reading import LONGEST_NAME
from upshot.schemas.deferrals import Deferral
from upshot.schemas.exposures import Exposure
from upshot.schemas.ids import fact_id
from upshot.schemas.numbers import plain
from upshot.schemas.outcomes import Outcome
from upshot.schemas.runs import Run
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step
from upshot.schemas.waits import Wait
from upshot.schemas.withdrawals import WaitCancellation
from upshot.schemas.wording import place_in, sentence_of
from upshot.sdk.rules import Says, matches_of, window_of
from upshot.sdk.values import shown
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import MAX_EVENT_BYTES

D = TypeVar("D")
E = TypeVar("E", bound=BaseModel)

#: The right content of a missing field, by its name.
_INSTEAD: Mapping[str, str] = {
    "subject": "write what outcomes are about, such as 'pr:acme/web#12'",
    "name": "write the score's name, such as 'merged'",
    "type": "write what happened, such as 'pr.closed'",
    "run_id": "write the id of the run, which run.id gives",
}


def run_message(**fields: Any) -> OutgoingEvent:
    """The known facts of a run. An oversized run loses input, output and attributes. Raises Misuse."""
    run = _checked(Run, "this run", fields)
    return _fitting("runs", run.run_id, run)


def step_message(step: Step) -> OutgoingEvent:
    """An ended step. An oversized step loses input, output and attributes."""
    return _fitting("steps", step.run_id, step)


def score_message(**fields: Any) -> OutgoingEvent:
    """A score given by code or a person; its value is a plain one, see `values`. Raises Misuse."""
    score = _checked(Score, "this score", fields)
    return _message("scores", score.run_id, score)


def exposure_message(**fields: Any) -> OutgoingEvent:
    """An exposure of a run. Raises Misuse."""
    exposure = _checked(Exposure, "this exposure", fields)
    return _message("exposures", exposure.run_id, exposure)


def outcome_message(**fields: Any) -> OutgoingEvent:
    """An outcome. Raises Misuse."""
    outcome = _checked(Outcome, "this outcome", {"specversion": "1.0", **fields})
    return _message("outcomes", outcome.subject, outcome)


def wait_message(*, on: Mapping[str, Says] | Sequence[str], **fields: Any) -> tuple[OutgoingEvent, str]:
    """A wait and its id. `within` is a timedelta or ISO 8601. Raises Misuse."""
    rule: dict[str, Any] = {"on": matches_of(on), "within": window_of(fields.pop("within"))}
    rule |= {"mode": fields.pop("mode")}
    otherwise = plain(fields.pop("otherwise"))
    if otherwise is not None:
        rule["else"] = otherwise
    wait = _checked(Wait, "this wait", {**fields, "rule": rule}).identified(fields["opened_at"])
    return _message("waits", wait.subject, wait), wait.wait_id or ""


def wait_cancellation_message(**fields: Any) -> OutgoingEvent:
    """The cancellation of a wait. Raises Misuse."""
    cancellation = _checked(WaitCancellation, "this cancellation", fields)
    return _message("waits", cancellation.subject, cancellation)


def deferral_message(
    scorer: Scorer[D, Any], data: D, *, call: str, **fields: Any
) -> tuple[OutgoingEvent, str]:
    """Deferred work and its id. Without a `key` each `call` of a run is a deferral of its own.

    Raises Misuse.
    """
    if not isinstance(scorer, Scorer):
        name = getattr(scorer, "__name__", "scorer")
        raise Misuse(f"{name} is no scorer: write @app.scorer above it, then run.defer({name}, data)")
    about = fields["run_id"], fields["step_id"] or "", scorer.name, scorer.version
    ident = fact_id("deferral", *about, call) if fields["key"] is None else None
    stated = {"followup_id": ident, "scorer": scorer.name, "version": scorer.version}
    stated["data"] = from_json(scorer.write(data))
    deferral = _checked(Deferral, "this deferral", {**fields, **stated}).identified(fields["deferred_at"])
    assert deferral.followup_id is not None
    return _message("deferrals", deferral.followup_id, deferral), deferral.followup_id


def checked_names(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with recordable names, numbers of other libraries as Python's own. Raises Misuse."""
    if not isinstance(attributes, Mapping):
        raise Misuse(f'attributes={shown(attributes)} is no mapping; write attributes={{"language": "Go"}}')
    for name in attributes:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            raise Misuse(
                f"an attribute's name is a text of 1 to {LONGEST_NAME} characters, not {name!r:.100}"
            )
    return {name: plain(value) for name, value in attributes.items()}


def as_json(value: Any) -> str | None:
    """The value as JSON, readable again by its type; None where JSON doesn't know all of the value."""
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return None


def as_text(value: Any) -> str:
    """Anything as text: a text unchanged, else JSON; values unknown to JSON by their `str`."""
    if isinstance(value, str):
        return value
    try:
        return to_json(value, fallback=str).decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return str(value)


def _checked(model: type[E], what: str, fields: Mapping[str, Any]) -> E:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = place_in(first).removeprefix("rule.").replace("rule.", "")
        where = {"else": "otherwise"}.get(where, where)
        if first["type"] == "missing" and where in fields:
            instead = _INSTEAD.get(where, "write a value")
            raise Misuse(f"{what} can't be recorded: {where} is None; {instead}") from None
        value = first["input"]
        shows = first["type"] != "missing" and where and value and isinstance(value, str | int | float | list)
        is_now = f" (it is {shown(value)})" if shows else ""
        raise Misuse(f"{what} can't be recorded: {where or what} {sentence_of(first)}{is_now}") from None


def _fitting(topic: str, key: str, event: Run | Step) -> OutgoingEvent:
    try:
        return _message(topic, key, event)
    except Misuse:
        shorter = {"input": None, "output": None, "attributes": {"upshot.left_out": "too long"}}
        return _message(topic, key, event.model_copy(update=shorter))


def _message(topic: str, key: str, event: BaseModel) -> OutgoingEvent:
    """The fields set on an event, or, of a step, the fields with other values than the defaults."""
    step = isinstance(event, Step)
    try:
        # As `model_dump_json`, without a text between: events are bytes.
        value = event.__pydantic_serializer__.to_json(
            event, by_alias=True, exclude_unset=not step, exclude_defaults=step
        )
    except (PydanticSerializationError, UnicodeError):
        stated = event.model_dump(by_alias=True, exclude_unset=not step, exclude_defaults=step)
        value = to_json(_plain(stated), fallback=str)
    if len(value) > MAX_EVENT_BYTES:
        raise Misuse(
            f"this event for {topic} has {len(value):,} bytes, {MAX_EVENT_BYTES:,} are allowed: it isn't "
            "recorded; keep long content elsewhere and send a link"
        )
    return OutgoingEvent(topic, key if key.isascii() else _plain(key), value)


def _plain(value: Any) -> Any:
    """The same with characters outside UTF-8 replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return value


__all__ = [
    "Says",
    "as_json",
    "as_text",
    "checked_names",
    "deferral_message",
    "exposure_message",
    "outcome_message",
    "run_message",
    "score_message",
    "step_message",
    "wait_cancellation_message",
    "wait_message",
]

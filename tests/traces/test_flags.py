"""Evaluations of feature flags in spans are exposures of the span's run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from upshot.otel import SpanEvent, SpanRecord
from upshot.otel.events import events_of
from upshot.otel.request_reading import Spans
from upshot.schemas.exposures import Exposure

START = 1_767_268_800_000_000_000
TRACE = "0" * 31 + "1"


def span(*events: SpanEvent, **changed: Any) -> SpanRecord:
    given: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": "000000000000000a",
        "name": "answer",
        "start_ns": START,
        "end_ns": START + 10**9,
        "events": events,
    }
    return SpanRecord(**(given | changed))


def evaluation(name: str = "feature_flag.evaluation", **facts: Any) -> SpanEvent:
    """An event whose attributes lie below `feature_flag.`; a dot is written as two underscores."""
    attributes = {f"feature_flag.{key.replace('__', '.')}": value for key, value in facts.items()}
    return SpanEvent(name, START + 5_000_000, attributes)


def exposures(*spans: SpanRecord) -> list[Exposure]:
    mapped = events_of(Spans(list(spans), {}), lambda *_: None, with_content=False)
    assert mapped.rejected == 0
    return [
        Exposure.model_validate_json(event.value) for event in mapped.events if event.topic == "exposures"
    ]


def test_an_evaluation_is_an_exposure() -> None:
    [found] = exposures(
        span(evaluation(key="tone", result__variant="warm", result__reason="split", context__id="u1"))
    )
    assert (found.run_id, found.experiment, found.variant, found.unit) == (TRACE, "tone", "warm", "u1")
    assert found.strategy == "external"
    assert found.exposed_at is not None and found.exposed_at.isoformat() == "2026-01-01T12:00:00.005000+00:00"


@pytest.mark.parametrize("at_ns", [0, 1, -5, 2**63 - 1, 2**64 - 1])
def test_a_clock_gone_wrong_loses_no_exposure(at_ns: int) -> None:
    """In 1970 or 2554 nobody was exposed: when it is recorded counts."""
    event = evaluation(key="tone", result__variant="warm", context__id="u1")
    [found] = exposures(span(SpanEvent(event.name, at_ns, event.attributes)))
    assert (found.variant, found.unit, found.exposed_at) == ("warm", "u1", None)


def test_the_record_says_no_probability_that_nobody_knows() -> None:
    mapped = events_of(
        Spans([span(evaluation(key="tone", result__variant="warm"))], {}), lambda *_: None, with_content=False
    )
    [event] = [event for event in mapped.events if event.topic == "exposures"]
    assert "probability" not in json.loads(event.value)
    assert event.key == TRACE


@pytest.mark.parametrize(
    ("facts", "variant"),
    [
        ({"variant": "warm"}, "warm"),
        ({"result__value": True}, "true"),
        ({"result__value": "gpt-5"}, "gpt-5"),
        ({"result__value": 7}, "7"),
        ({"result__value": {"b": 1, "a": [2]}}, '{"a": [2], "b": 1}'),
        ({"result__variant": "warm", "result__value": True}, "warm"),
        ({"result__variant": "w" * 300}, "w" * 200),
    ],
)
def test_variants_in_every_spelling(facts: dict[str, Any], variant: str) -> None:
    [found] = exposures(span(evaluation("feature_flag", key="tone", **facts)))
    assert found.variant == variant


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"key": "tone"},
        {"key": 7, "result__variant": "warm"},
        {"key": "", "result__variant": "warm"},
        {"key": "tone", "result__variant": ""},
        {"key": "tone", "result__variant": "warm", "result__reason": "error"},
        {"key": "tone", "result__variant": "warm", "result__reason": "DISABLED"},
        {"key": "tone", "result__variant": "warm", "result__reason": "static"},
    ],
)
def test_events_without_a_choice_are_no_exposures(facts: dict[str, Any]) -> None:
    assert exposures(span(evaluation(**facts))) == []


def test_other_events_are_none() -> None:
    assert exposures(span(SpanEvent("exception", START, {"feature_flag.key": "tone"}))) == []


def test_an_evaluation_told_again_is_the_same_exposure() -> None:
    once = span(evaluation(key="tone", result__variant="warm"))
    again = span(evaluation(key="tone", result__variant="warm"), span_id="000000000000000b")
    other = span(evaluation(key="tone", result__variant="plain"))
    assert len({each.identity for each in exposures(once, again)}) == 1
    assert len(exposures(once, other)) == 2


def test_an_event_without_a_time_takes_the_records() -> None:
    event = SpanEvent("feature_flag", 0, {"feature_flag.key": "tone", "feature_flag.variant": "warm"})
    [found] = exposures(span(event))
    assert found.exposed_at is None


def test_the_run_is_that_of_the_span() -> None:
    [found] = exposures(
        span(evaluation(key="tone", result__variant="warm"), attributes={"upshot.run_id": "mine"})
    )
    assert found.run_id == "mine"

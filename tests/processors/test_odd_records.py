"""No record stops a handler: it is used, or kept as a dead letter that says why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.odd_records import HOME, MERGED, NOON, VALUES, a_record, an_object, deep, records
from tests.otel_requests.otlp_requests import agent_run, as_json, as_protobuf
from tests.processors.scripted import SCORERS, PlainExecutor, stayed_closed
from tests.room import MemoryRoom, processed
from upshot.otel.evaluations import request_of
from upshot.processors.correlate.handler import Join
from upshot.processors.evaluations.handler import Evaluations
from upshot.processors.followups.handler import Followups
from upshot.processors.sources.handler import Sources
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.rows import STORED, Row, Skipped, row_of
from upshot.processors.store.sink import MemorySink
from upshot.processors.traces.handler import Traces
from upshot.settings import Settings
from upshot.sources import Source
from upshot.streams.events.parsing import MAX_DEPTH
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import Output

SETTINGS = Settings()
#: The same each time: what is found is found where it's looked for, not in somebody else's change.
odd = settings(max_examples=40, deadline=None, derandomize=True)


def joined(*given: Fetched) -> list[Output]:
    room = MemoryRoom()
    return processed(room, Join(room, SETTINGS, lambda: NOON * 1000), *given)


def emitted(outputs: Sequence[Output], topic: str) -> list[dict[str, object]]:
    return [json.loads(output.value or b"") for output in outputs if output.topic == f"upshot.{topic}"]


def are_events(outputs: Sequence[Output]) -> None:
    """The store takes what was sent, or the join says why not; what is only forwarded is somebody else's."""
    for output in outputs:
        topic, stamp = output.topic.removeprefix("upshot."), output.timestamp_ms or NOON
        sent = Fetched(output.topic, HOME, 0, stamp, output.key, output.value, tuple(output.headers))
        if output.partition is None:
            assert isinstance(row_of(topic, sent), Row) or joined(sent), output
        if topic == "dead-letters":
            assert json.loads(output.value or b"")["topic"] != "upshot.dead-letters"


@odd
@given(st.lists(records("deferrals") | records("resumptions"), min_size=1, max_size=3))
def test_follow_ups_run_what_comes_with_it(given: list[Fetched]) -> None:
    room, executor = MemoryRoom(), PlainExecutor({**SCORERS, ("was_read", "1"): stayed_closed})
    handler = Followups(room, SETTINGS, executor, lambda: NOON * 1000)
    good = a_record("deferrals", {"followup_id": "pr:1", "run_id": "good", "scorer": "progress"})

    async def work() -> list[Output]:
        await room.begin(handler)
        await room.process(handler, *given, good)
        for _ in range(3):
            await room.process(handler)
        return room.outputs

    outputs = asyncio.run(work())
    are_events(outputs)
    assert any(score["run_id"] == "good" for score in emitted(outputs, "scores"))


@odd
@given(st.lists(records("waits") | records("outcomes"), min_size=1, max_size=3))
def test_the_join_joins_what_comes_with_it(given: list[Fetched]) -> None:
    rule = {"on": {"good": {"score": True}}, "within": "P14D"}
    wait = {"run_id": "good", "name": "merged", "subject": "pr:1", "wait_id": "good", "rule": rule}
    good = {"type": "good", "subject": "pr:1", "source": "good"}
    outputs = joined(a_record("waits", wait), *given, a_record("outcomes", good))
    assert [score["value"] for score in emitted(outputs, "scores") if score["run_id"] == "good"] == [True]
    are_events(outputs)


@odd
@given(records("waits") | records("outcomes"))
def test_the_store_leaves_to_the_join_what_the_join_refuses(given: Fetched) -> None:
    left = isinstance(row_of(given.topic.removeprefix("upshot."), given), Skipped)
    assert left == bool(emitted(joined(given), "dead-letters"))


@pytest.mark.parametrize("topic", STORED)
def test_the_store(topic: str) -> None:
    @odd
    @given(st.lists(records(topic), min_size=1, max_size=2))
    def takes(given: list[Fetched]) -> None:
        are_events(processed(MemoryRoom(), StoreHandler(SETTINGS, MemorySink()), *given))

    takes()


REQUESTS = st.sampled_from([json.dumps(as_json(agent_run())).encode(), as_protobuf(agent_run())])
BROKEN = st.builds(
    lambda value, at, cut, put: value[: at % len(value)] + put + value[at % len(value) + cut :],
    REQUESTS,
    st.integers(0, 5_000),
    st.integers(0, 30),
    st.binary(max_size=10),
)


@odd
@given(st.lists(records("otlp", BROKEN | VALUES | st.binary(max_size=200)), min_size=1, max_size=2))
def test_the_traces(given: list[Fetched]) -> None:
    are_events(processed(MemoryRoom(), Traces(SETTINGS), *given))


SOURCES = [
    Source("pr.{action}", "pr:{number}", topic="upshot.github"),
    Source("pr.closed", lambda message: message.value["action"], topic="upshot.github", data="number"),
    Source(
        "pr.closed", "pr:1", topic="upshot.github", decode=lambda raw: raw.decode("utf-8", "surrogateescape")
    ),
]
MESSAGES = st.dictionaries(st.sampled_from(["action", "number"]), VALUES).map(an_object)


@odd
@given(st.lists(records("github", MESSAGES | VALUES | st.none()), min_size=1, max_size=2))
def test_the_sources(given: list[Fetched]) -> None:
    are_events(processed(MemoryRoom(), Sources(SETTINGS, SOURCES), *given))


class Collected:
    """A collector that takes what can be encoded."""

    async def send(self, logs: Sequence[object]) -> None:
        assert request_of(logs).SerializeToString()  # type: ignore[arg-type]


@odd
@given(st.lists(records("scores"), min_size=1, max_size=2))
def test_the_evaluations(given: list[Fetched]) -> None:
    processed(MemoryRoom(), Evaluations(SETTINGS, Collected()), *given)  # type: ignore[arg-type]


# Recursion is without bounds where hypothesis runs: what makes Python give up is tried by itself.


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, 900, 950, 970, 990, 100_000])
@pytest.mark.parametrize("topic", STORED)
def test_what_is_nested_deeply_is_stored_or_refused_by_all_alike(topic: str, levels: int) -> None:
    record = a_record(topic, an_object({"attributes": deep(levels), "data": deep(levels)}))
    detail = f"nested deeper than {MAX_DEPTH}"
    row = row_of(topic, record)
    refused = levels >= MAX_DEPTH
    assert (detail in str(row)) == refused
    if topic in ("outcomes", "waits"):
        assert (
            any(detail in str(letter["detail"]) for letter in emitted(joined(record), "dead-letters"))
            == refused
        )


@pytest.mark.parametrize(
    "path", ["[" * 500, "(" * 500, "!" * 500, "*" + ".*" * 249, "@" + "|@" * 249, "a" + "||a" * 166]
)
def test_a_path_that_is_nested_deeply_is_refused_or_gives_no_score(path: str) -> None:
    rule = MERGED | {"on": {"pr.closed": {"score": path}}}
    wait = {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": rule}
    outcome = {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}}
    letters = emitted(joined(a_record("waits", wait), a_record("outcomes", outcome)), "dead-letters")
    assert {letter["reason"] for letter in letters} <= {"invalid_rule", "unusable_outcome"}
    assert letters


COSTLY = "|".join(["[@,@][]"] * 20) + "|length(@)"


@pytest.mark.parametrize(
    ("path", "reason", "named"),
    [
        (COSTLY, "invalid_rule", "pr.closed"),
        (f"data.none || {COSTLY}", "unusable_outcome", "wait w1 of run r1"),
    ],
)
@pytest.mark.parametrize("part", ["score", "when"])
def test_a_path_that_takes_too_many_steps_is_a_dead_letter(
    path: str, reason: str, named: str, part: str
) -> None:
    rule = MERGED | {"on": {"pr.closed": {"score": True} | {part: path}}}
    wait = {"run_id": "r1", "name": "merged", "subject": "pr:1", "wait_id": "w1", "rule": rule}
    outcome = {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}}
    letters = emitted(joined(a_record("waits", wait), a_record("outcomes", outcome)), "dead-letters")
    assert [letter["reason"] for letter in letters] == [reason]
    assert "steps" in str(letters[0]["detail"]) and named in str(letters[0]["detail"])

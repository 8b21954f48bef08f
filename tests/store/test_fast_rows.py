"""Fast reading and the schemas agree: whatever is read fast is valid, and the same row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel

from tests.store.conftest import NOON, record
from upshot.processors.followups import decode as followups_decode
from upshot.processors.store import rows
from upshot.processors.store.rows import Row, row_of
from upshot.schemas.deferrals import Deferral
from upshot.schemas.fields import Event
from upshot.schemas.outcomes import Outcome
from upshot.schemas.resumptions import AnsweringEvent, Resumption
from upshot.schemas.runs import Run
from upshot.schemas.waits import Wait
from upshot.streams.events import decode
from upshot.streams.events import fast as wire
from upshot.streams.events.topics import TOPICS

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
READ_FAST = (*("runs", "steps", "scores", "exposures", "deferrals", "followups", "alerts", "dead-letters"),)
ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.sampled_from([10**400, -0.0, 1e308, 5e-324, 2**63, 2**64]),
        st.floats(),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
INSTANTS = st.one_of(
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.sampled_from(
        [
            "2026-06-30T12:00:00Z",
            "2026-06-30T12:00:00.123456Z",
            "2026-06-30T12:00:00.1234567z",
            "2026-06-30T12:00:00.123456789Z",
            "2026-06-30T12:00:00.9999999+0000",
            "2026-06-30T12:00:00.999999+00:00",
            "2026-06-30T12:00:00.5+05:30",
            "2026-06-30 12:00:00z",
            "2026-06-30_12:00:00Z",
            "2026-W27-2T12:00:00Z",
            "2026-06-30T12:00Z",
            "2026-06-30T12:00:00",
            "2026-06-30T24:00:00Z",
            "1999-12-31T23:59:59.999999Z",
            "2100-01-01T00:00:00Z",
            "2099-12-31T23:59:59.999999Z",
            "1782864000",
            "yesterday",
            "",
        ]
    ),
)
TEXTS = st.sampled_from(["x", "", "x" * 200, "x" * 201, "x" * 512, "x" * 513, "ü" * 200, "\0", "😀" * 200])
WORDS = st.sampled_from(
    [
        "live",
        "replay",
        "running",
        "completed",
        "ok",
        "outcome",
        "given",
        "expired",
        "span",
        "not_json",
        "eA==",
        "e",
        "ü",
        "waiting",
        "done",
    ]
)
NUMBERS = st.sampled_from([0, 1, 2**63 - 1, 0.5, 1.0, -0.0, -1, 1e-9, True, False])
ASSIGNMENTS = st.lists(
    st.fixed_dictionaries(
        {"experiment": TEXTS, "variant": TEXTS},
        optional={"phase": TEXTS, "probability": NUMBERS, "more": ANYTHING},
    ),
    max_size=2,
)
ATTRIBUTES = st.dictionaries(TEXTS, ANYTHING, max_size=2)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "attributes": ATTRIBUTES,
    "exposures": ASSIGNMENTS,
    "finish_reasons": st.lists(TEXTS, max_size=2),
    "waiting_for": st.lists(
        st.fixed_dictionaries(
            {"deadline": INSTANTS},
            optional={"subject": TEXTS, "types": st.lists(TEXTS, max_size=2), "more": ANYTHING},
        ),
        max_size=2,
    ),
    "headers": st.lists(st.tuples(TEXTS, WORDS), max_size=2),
    "schema_version": st.sampled_from([1, 2, 1.0, True, "1"]),
    "late": st.sampled_from([True, False, "true", 1]),
    "status": WORDS,
    "origin": WORDS,
    "reason": WORDS,
    "cost_source": WORDS,
    "key": WORDS,
    "value": st.one_of(NUMBERS, WORDS),
}


def likely(name: str, kind: Any) -> st.SearchStrategy[Any]:
    """What a field may well hold, and now and then what it may not."""
    if name in LIKELY:
        usual = LIKELY[name]
    elif name.endswith("_at"):
        usual = INSTANTS
    elif "int" in str(kind) or "float" in str(kind):
        usual = NUMBERS
    else:
        usual = TEXTS
    return st.one_of(usual, usual, usual, usual, st.none(), ANYTHING)


def events(topic: str) -> st.SearchStrategy[bytes]:
    """Events of a topic as JSON, mostly valid, and as the encoder of another language might write them."""
    fields = TOPICS[topic].schema.model_fields
    strategies = {name: likely(name, field.annotation) for name, field in fields.items()}
    required = {name: strategies.pop(name) for name, field in fields.items() if field.is_required()}
    return st.builds(
        lambda event, ascii: json.dumps(event, ensure_ascii=ascii).encode(),
        st.fixed_dictionaries(required, optional={**strategies, "unknown": ANYTHING}),
        st.booleans(),
    )


def by_schema(topic: str, value: bytes, timestamp: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the schemas alone make of it."""

    def needs_schema(kind: Any, event: Any) -> Any:
        raise wire.NeedsSchema

    with monkeypatch.context() as patch:
        patch.setattr(rows, "fast", needs_schema)
        return said(topic, value, timestamp)


def said(topic: str, value: bytes, timestamp: int) -> Any:
    """The row, or the refusal."""
    result = row_of(topic, record(topic, value, timestamp=timestamp))
    return result if isinstance(result, Row) else (type(result), result.error.reason, result.error.detail)


@pytest.mark.parametrize("topic", READ_FAST)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_the_row_is_the_one_that_the_schema_gives(topic: str, data: st.DataObject) -> None:
    value = data.draw(events(topic))
    timestamp = data.draw(st.sampled_from([NOON, NOON + 1, 0, -1, 10**18, 4_102_444_800_000]))
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert said(topic, value, timestamp) == by_schema(topic, value, timestamp, monkeypatch)


@pytest.mark.parametrize("topic", READ_FAST)
def test_every_instant_of_every_example_is_read(topic: str) -> None:
    """Instants are text to the fast decoder: a row for which nobody reads one hides that it is none."""
    instants = [name for name, field in TOPICS[topic].schema.model_fields.items() if "datetime" in str(field)]
    for path in sorted(EXAMPLES.glob(f"{topic}/*.json")):
        for name in instants:
            value = json.dumps({**json.loads(path.read_bytes()), name: "x"}).encode()
            with pytest.MonkeyPatch.context() as monkeypatch:
                assert said(topic, value, NOON) == by_schema(topic, value, NOON, monkeypatch), (path, name)


@pytest.mark.parametrize("topic", READ_FAST)
@pytest.mark.parametrize("unknown", [b"1e999", b'"\xff"', b'"\\ud800"', b"NaN", b'{"a":{"\xff":1}}'])
def test_what_is_no_json_is_refused_in_fields_that_nobody_knows_too(topic: str, unknown: bytes) -> None:
    path = sorted(EXAMPLES.glob(f"{topic}/*.json"))[0]
    value = path.read_bytes().rstrip().removesuffix(b"}") + b',"unknown":' + unknown + b"}"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert said(topic, value, NOON) == by_schema(topic, value, NOON, monkeypatch)


@pytest.mark.parametrize("topic", READ_FAST)
def test_what_is_usual_is_read_fast(topic: str) -> None:
    for path in sorted(EXAMPLES.glob(f"{topic}/*.json")):
        wire.fast(TOPICS[topic].schema, json.loads(path.read_bytes()))


@pytest.mark.parametrize("topic", READ_FAST)
def test_the_fields_are_those_of_the_schema(topic: str) -> None:
    fields = TOPICS[topic].schema.model_fields
    assert wire.fast_struct(TOPICS[topic].schema).__struct_fields__ == tuple(fields)
    least = json.loads(min(EXAMPLES.glob(f"{topic}/*.json"), key=lambda p: len(p.read_bytes())).read_bytes())
    required = {name: least.get(name) for name, field in fields.items() if field.is_required()}
    fast = wire.fast(TOPICS[topic].schema, required)
    for name, field in fields.items():
        if not field.is_required() and name != "origin":
            assert getattr(fast, name) == field.get_default(call_default_factory=True), name


def test_a_default_is_nobody_elses() -> None:
    first, second = (wire.fast(Run, {"run_id": run_id}) for run_id in "ab")
    first.attributes["x"] = 1
    assert second.attributes == {}


def test_a_field_with_a_validator_unknown_here_is_refused() -> None:
    class Strange(Event):
        name: Annotated[str, AfterValidator(str.upper)]

    with pytest.raises(TypeError, match="AfterValidator"):
        wire.fast_struct(Strange)


@pytest.mark.parametrize(
    ("by_hand", "model", "spelled_otherwise"),
    [
        (decode._OutcomeOnWire, Outcome, {"data", "sequence", "sequencetype"}),
        (decode._WaitOnWire, Wait, {"rule", "tolerance", "exposures", "attributes", "after"}),
        (followups_decode._DeferralOnWire, Deferral, {"data", "exposures", "attributes"}),
        (followups_decode._ResumptionOnWire, Resumption, {"event"}),
        (followups_decode._AnsweringEventOnWire, AnsweringEvent, {"data"}),
    ],
)
def test_what_is_handed_on_as_json_is_declared_as_the_schema_does(
    by_hand: type[msgspec.Struct], model: type[BaseModel], spelled_otherwise: set[str]
) -> None:
    of_clouds = {"datacontenttype", "dataschema"}
    ours = {f.name: f for f in msgspec.structs.fields(by_hand) if f.name not in of_clouds}
    assert set(ours) == set(model.model_fields)
    for name in set(ours) - spelled_otherwise:
        theirs = msgspec.defstruct("Theirs", [wire._member(name, model.model_fields[name], False)])
        (field,) = msgspec.structs.fields(theirs)
        assert (ours[name].type, ours[name].default) == (field.type, field.default), name

"""Fast reading and the schema agree: about what is valid, and about what it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.errors import InvalidEvent
from upshot.streams.events import decode as arrivals
from upshot.streams.events.decoded import DecodedOutcome, DecodedWait
from upshot.streams.events.withdrawals import is_withdrawal

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


class Record(NamedTuple):
    """A record as the codec reads it."""

    topic: str
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 1
    offset: int = 7
    timestamp: int = 1_782_864_000_123
    key: bytes | None = None


INSTANTS = st.sampled_from(
    [
        "2026-06-30T12:00:00Z",
        "2026-06-30T12:00:00.123456Z",
        "2026-06-30T12:00:00.123456789Z",
        "2026-06-30T12:00:00.9999999+0000",
        "2026-06-30T12:00:00.5+05:30",
        "2026-06-30T12:00:00.50+0000",
        "2026-06-30T12:00:00.123Z",
        "2026-06-30T12:00:00.1234567891234Z",
        "2026-06-30T23:59:60Z",
        "2026-06-29T23:59:60Z",
        "1969-12-31T23:59:59Z",
        "2026-06-30 12:00:00z",
        "2026-06-30T12:00Z",
        "2026-06-30T12:00:00",
        "2026-07-02T12:00:00Z",
        "1999-12-31T23:59:59Z",
        "1782864000",
        "yesterday",
        "",
        None,
        1782864000,
    ]
)
TEXTS = st.one_of(st.sampled_from(["", "x", "x" * 201, "x" * 513, "pr:acme/web#1"]), st.none(), st.integers())
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
)
RULES = st.one_of(
    st.fixed_dictionaries(
        {
            "on": st.dictionaries(
                st.sampled_from(["a", "pr.closed", ""]),
                st.fixed_dictionaries(
                    {}, optional={"score": VALUES, "when": st.sampled_from(["data.x", "(", 1])}
                ),
                max_size=2,
            )
        },
        optional={
            "within": st.sampled_from(["P14D", "PT30S", "P0D", 5, "P3661D", "P3660D"]),
            "else": VALUES,
            "otherwise": VALUES,
            "mode": st.sampled_from(["first", "all", "count", "sum", "worst"]),
        },
    ),
    st.just({"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}),
)
ASSIGNMENTS = st.fixed_dictionaries(
    {"experiment": TEXTS, "variant": st.just("b")},
    optional={"phase": TEXTS, "probability": st.sampled_from([0.5, 1, 0, 1.5, "1", True]), "more": VALUES},
)
NAMES = st.sampled_from(["x", "merged"])
WAITS = st.fixed_dictionaries(
    {"run_id": TEXTS | NAMES, "name": NAMES | TEXTS, "subject": NAMES | TEXTS, "rule": RULES},
    optional={
        "wait_id": TEXTS,
        "step_id": TEXTS,
        "opened_at": INSTANTS,
        "since": INSTANTS,
        "tolerance": st.sampled_from(["PT1S", "PT0S", "P2D", "-PT1S", "soon", None, 1, True]),
        "agent": TEXTS,
        "exposures": st.one_of(st.lists(ASSIGNMENTS, max_size=2), VALUES),
        "attributes": st.one_of(
            st.dictionaries(st.sampled_from(["", "language", "x" * 201]), VALUES), VALUES
        ),
        "schema_version": st.sampled_from([1, 2, 1.0, True, "1"]),
        "reply_to": TEXTS,
        "unknown": VALUES,
    },
)
OUTCOMES = st.fixed_dictionaries(
    {"type": NAMES | TEXTS, "subject": NAMES | TEXTS},
    optional={
        "id": TEXTS,
        "source": TEXTS,
        "time": INSTANTS,
        "data": VALUES,
        "sequence": st.sampled_from(["1", "a", "", "7" * 19, "x" * 201, 5, -5, 10**18, 1.5, True, [], None]),
        "sequencetype": st.sampled_from(["Integer", "Other", 1, None]),
        "specversion": st.sampled_from(["1.0", "0.3", 1.0]),
        "unknown": VALUES,
    },
)
BYTES = st.sampled_from([None, b"", b"{", b"[]", b'{"type":"a","subject":"b","data":{"v":1e999}}', b"\xff"])
TIMESTAMPS = st.sampled_from([1_782_864_000_123, 0, -1, 10**18])


def said(read: Any, record: Record) -> Any:
    """What comes of a record: facts as plain values, or the refusal."""
    try:
        found = read(record)
    except InvalidEvent as refusal:
        return refusal.reason, refusal.detail
    return {name: _plain(getattr(found, name)) for name in found.__struct_fields__}


def _plain(value: Any) -> Any:
    return repr(json.loads(bytes(value))) if isinstance(value, arrivals.Raw) else value


@settings(max_examples=600, deadline=None)
@given(st.one_of(WAITS.map(lambda e: json.dumps(e).encode()), BYTES), TIMESTAMPS)
def test_a_wait_is_read_as_the_schema_reads_it(value: bytes | None, timestamp: int) -> None:
    record = Record("upshot.waits", value, timestamp=timestamp)
    assert said(arrivals.read_wait, record) == said(arrivals._slow_wait, record)


@settings(max_examples=600, deadline=None)
@given(st.one_of(OUTCOMES.map(lambda e: json.dumps(e).encode()), BYTES), TIMESTAMPS)
def test_an_outcome_is_read_as_the_schema_reads_it(value: bytes | None, timestamp: int) -> None:
    record = Record("upshot.outcomes", value, timestamp=timestamp)
    assert said(arrivals.read_outcome, record) == said(arrivals._slow_outcome, record)


#: JSON that is none, wherever it stands.
NONE = [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"[1e999]",
    b'{"a":1e999}',
    b"1" * 400 + b".5",
    b"1" * 5_000,
    b"01",
    b"[1,]",
]
NONE += [
    b'"\xff"',
    b'{"\xff":1}',
    b'"\xed\xa0\x80"',
    b'"\xc0\x80"',
    b'"\\ud800"',
    b'"\0"',
    b"tru",
    b'{"a":{"b":"\xff"}}',
]
RULE_SAID = b'{"on":{"a":{"score":1}},"within":"P1D"}'
WAIT_SAID = b'{"run_id":"r","name":"n","subject":"s","rule":%s' % RULE_SAID


@pytest.mark.parametrize("none", NONE)
@pytest.mark.parametrize(
    ("topic", "before", "after"),
    [
        ("outcomes", b'{"type":"a","subject":"b","unknown":', b"}"),
        ("outcomes", b'{"type":"a","subject":"b","datacontenttype":', b"}"),
        ("outcomes", b'{"type":"a","subject":"b","data":{"k":', b"}}"),
        ("waits", WAIT_SAID + b',"unknown":', b"}"),
        ("waits", WAIT_SAID + b',"attributes":{"k":', b"}}"),
        ("waits", WAIT_SAID + b',"exposures":[{"experiment":"e","variant":"v","unknown":', b"}]}"),
        ("waits", WAIT_SAID.removesuffix(b"}") + b',"unknown":', b"}}"),
    ],
)
def test_what_is_skipped_is_json_too(topic: str, before: bytes, after: bytes, none: bytes) -> None:
    read, slowly = {
        "waits": (arrivals.read_wait, arrivals._slow_wait),
        "outcomes": (arrivals.read_outcome, arrivals._slow_outcome),
    }[topic]
    plain, odd = (Record(topic, before + value + after) for value in (b"1", none))
    assert isinstance(said(read, plain), dict)
    refusal = said(read, odd)
    assert refusal == said(slowly, odd)
    assert refusal[0] in ("not_json", "not_finite")


@pytest.mark.parametrize("topic", ["waits", "outcomes"])
def test_what_is_usual_is_read_fast(topic: str) -> None:
    fast = {"waits": arrivals._fast_wait, "outcomes": arrivals._fast_outcome}[topic]
    expected = {"waits": DecodedWait, "outcomes": DecodedOutcome}[topic]
    for path in sorted(EXAMPLES.glob(f"{topic}/*.json")):
        record = Record(topic, path.read_bytes())
        if topic == "outcomes" or not is_withdrawal(record):
            assert isinstance(fast(record), expected)

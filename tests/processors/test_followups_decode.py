"""Fast reading of deferrals and resumptions agrees with the schema about what is valid,
and about what it says.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.test_arrivals import (
    ASSIGNMENTS,
    BYTES,
    EXAMPLES,
    INSTANTS,
    NAMES,
    NONE,
    TEXTS,
    TIMESTAMPS,
    VALUES,
    Record,
)
from upshot.errors import InvalidEvent
from upshot.processors.followups import decode
from upshot.processors.followups.decode import read_deferred, read_resumed

DEFERRALS = st.fixed_dictionaries(
    {"run_id": NAMES | TEXTS, "scorer": NAMES | TEXTS},
    optional={
        "followup_id": TEXTS,
        "step_id": TEXTS,
        "version": TEXTS,
        "data": VALUES,
        "deferred_at": INSTANTS,
        "since": INSTANTS,
        "key": TEXTS,
        "deferred_by": TEXTS,
        "revision": st.sampled_from([0, 1, 7, -1, 2**63, 1.0, "1", None]),
        "cancelled_at": INSTANTS,
        "agent": TEXTS,
        "exposures": st.one_of(st.lists(ASSIGNMENTS, max_size=2), VALUES),
        "attributes": st.one_of(
            st.dictionaries(st.sampled_from(["", "language", "x" * 201]), VALUES), VALUES
        ),
        "schema_version": st.sampled_from([1, 2, 1.0, True, "1"]),
        "unknown": VALUES,
    },
)
HEARD = st.fixed_dictionaries(
    {"id": NAMES | TEXTS, "type": NAMES, "subject": NAMES | TEXTS, "time": INSTANTS},
    optional={"source": TEXTS, "data": VALUES, "unknown": VALUES},
)
RESUMPTIONS = st.fixed_dictionaries(
    {"followup_id": NAMES | TEXTS},
    optional={
        "kind": st.sampled_from(["answer", "reopened", "retry", "cancel", None]),
        "wait_id": NAMES | TEXTS,
        "revision": st.sampled_from([0, 1, 7, -1, 2**63, 1.0, "1", None]),
        "event": st.one_of(HEARD, HEARD, VALUES),
        "at": INSTANTS,
        "late": st.sampled_from([True, False, "true", None]),
        "schema_version": st.sampled_from([1, 2]),
        "unknown": VALUES,
    },
)


def said(read: Any, record: Record, *now: int) -> Any:
    """What comes of a record: facts as plain values, or the refusal."""
    try:
        return plain(read(record, *now))
    except InvalidEvent as refusal:
        return refusal.reason, refusal.detail


def plain(value: Any) -> Any:
    if isinstance(value, decode.Raw):
        return repr(json.loads(bytes(value)))
    if fields := getattr(value, "__struct_fields__", None):
        return {name: plain(getattr(value, name)) for name in fields}
    return value


@settings(max_examples=300, deadline=None)
@given(st.one_of(DEFERRALS.map(lambda e: json.dumps(e).encode()), BYTES), TIMESTAMPS)
def test_a_deferral_is_read_as_the_schema_reads_it(value: bytes | None, timestamp: int) -> None:
    record = Record("upshot.deferrals", value, timestamp=timestamp)
    assert said(read_deferred, record, 0) == said(decode._slow_deferral, record)


@settings(max_examples=300, deadline=None)
@given(st.one_of(RESUMPTIONS.map(lambda e: json.dumps(e).encode()), BYTES), TIMESTAMPS)
def test_a_resumption_is_read_as_the_schema_reads_it(value: bytes | None, timestamp: int) -> None:
    record = Record("upshot.resumptions", value, timestamp=timestamp)
    assert said(read_resumed, record, 0) == said(decode._slow_resumption, record)


@pytest.mark.parametrize("none", NONE)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"run_id":"r","scorer":"s","unknown":', b"}"),
        (b'{"run_id":"r","scorer":"s","data":{"k":', b"}}"),
        (b'{"run_id":"r","scorer":"s","exposures":[{"experiment":"e","variant":"v","unknown":', b"}]}"),
    ],
)
def test_what_is_skipped_is_json_too(before: bytes, after: bytes, none: bytes) -> None:
    record = Record("upshot.deferrals", before + none + after)
    assert said(read_deferred, record, 0) == said(decode._slow_deferral, record)
    assert said(read_deferred, record, 0)[0] in ("not_json", "not_finite")


@pytest.mark.parametrize("topic", ["deferrals", "resumptions"])
def test_what_is_usual_is_read_fast(topic: str) -> None:
    fast = {"deferrals": decode._fast_deferral, "resumptions": decode._fast_resumption}[topic]
    for path in sorted(EXAMPLES.glob(f"{topic}/*.json")):
        fast(Record(topic, path.read_bytes()))

"""Records as nobody should write them and anybody may: for tests of what a handler makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from upshot.streams.events.records import FORWARDED_FROM
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for

NOON = 1_767_268_800_000
#: Where subject `pr:1` belongs, of two partitions.
HOME = partition_for(b"pr:1", 2)
MERGED = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}
#: Events about `pr:1`; those of other topics are the examples.
PLAIN: dict[str, dict[str, Any]] = {
    "outcomes": {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}},
    "waits": {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": MERGED},
}
EXAMPLES = Path(__file__).parents[1] / "schemas" / "examples"
#: Fields of some topic, and of none.
OTHERS = [
    "attributes",
    "data",
    "time",
    "id",
    "opened_at",
    "since",
    "decided_at",
    "value",
    "exposures",
    "headers",
    "key",
    "ended_at",
    "cost_usd",
    "input_tokens",
    "finish_reasons",
    "schema_version",
    "specversion",
    "score_id",
    "unknown",
]


def deep(levels: int) -> bytes:
    """JSON of so many levels."""
    return (
        b'{"a":' * (levels // 2)
        + b"[" * (levels - levels // 2)
        + b"]" * (levels - levels // 2)
        + b"}" * (levels // 2)
    )


def an_object(fields: dict[str, bytes]) -> bytes:
    """A JSON object of fields that are JSON, or should be."""
    pairs = [json.dumps(name).encode() + b":" + value for name, value in fields.items()]
    return b"{" + b",".join(pairs) + b"}"


def quoted(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Texts as JSON."""
    return texts.map(lambda text: json.dumps(text).encode())


#: Values as no serializer of ours writes them.
VALUES = st.one_of(
    st.sampled_from([b"null", b"true", b"{}", b"[]", b"1.0", b"-5", b"1e308", b"-1e308", b"1e999", b"NaN"]),
    st.sampled_from([b"18446744073709551616", b"1" + b"0" * 30, b"-1" + b"0" * 400, b"1" * 5_000, b"5e-324"]),
    st.sampled_from(
        [b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\xed\xa0\x80"', b'"\xff"', b'"\\uFFFF"']
    ),
    st.sampled_from([b'{"merged":true,"merged":1e308,"":null}', b'"' + b"x" * 1_100_000 + b'"', b"{", b"\0"]),
    st.sampled_from([2, 150, 198, 199, 200, 201, 400, 970, 5_000, 100_000]).map(deep),
    quoted(
        st.sampled_from(
            ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "P1D", "pr:1", "a", "given", "1.0"]
        )
    ),
    quoted(st.text(max_size=5)),
)
PATHS = quoted(
    st.one_of(
        st.sampled_from(
            ["data.merged", "[" * 400, "(" * 490, "!" * 400 + "a", "data" + ".a" * 240, "data[::0]"]
        ),
        st.sampled_from(
            ["a" + "||a" * 160, "to_array(" * 45 + "data" + ")" * 45, "`" + "[" * 490 + "`", "*" + ".*" * 240]
        ),
        st.sampled_from(
            ["sort_by(data, &a)", "max_by(data.a, &b) < `1`", "to_string(data)", "data == data", "\ud800"]
        ),
        st.lists(
            st.sampled_from(
                ["data", "a", ".", "[0]", "[*]", "[", "]", "(", ")", "||", "`1`", "'x'", "&", "\0"]
            )
        ).map("".join),
    )
)
RULES = st.fixed_dictionaries(
    {
        "on": st.fixed_dictionaries({"score": PATHS | VALUES}, optional={"when": PATHS}).map(
            lambda match: an_object({"pr.closed": an_object(match)})
        ),
        "within": quoted(
            st.sampled_from(["P14D", "P14D", "P9999999999D", "PT0.0000001S", "P1Y", "-P1D", "P3660D"])
        ),
    },
    optional={
        "else": VALUES,
        "mode": quoted(st.sampled_from(["last", "all", "count", "sum"])),
        "unknown": VALUES,
    },
).map(an_object)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_type", "CE_type", "ce_subject", "ce_specversion", "ce_time", "ce_id", "ce_", "content-type"]
        )
        | st.sampled_from([FORWARDED_FROM, "\0", "\ufffd", ""]),
        st.sampled_from(
            [b"1.0", b"pr.closed", b"pr:1", b"application/json", b"text/plain", b"upshot.outcomes/1/2"]
        )
        | st.binary(max_size=10),
    ),
    max_size=4,
).map(tuple)
TIMESTAMPS = st.sampled_from([NOON, NOON, -1, 0, -(2**63), 2**63 - 1, 4_102_444_800_000])


def events(topic: str) -> st.SearchStrategy[bytes | None]:
    """Events of a topic of which some fields say something odd, and what is no event."""
    example = PLAIN.get(topic) or json.loads(min((EXAMPLES / topic).glob("*.json")).read_bytes())
    plain = {name: json.dumps(value).encode() for name, value in example.items()}
    odd = st.dictionaries(st.sampled_from([*plain, *OTHERS]), VALUES, max_size=2)
    whole = odd.map(lambda changed: an_object(plain | changed))
    if topic == "waits":
        whole |= RULES.map(lambda rule: an_object(plain | {"rule": rule}))
    return whole | VALUES | st.none() | st.binary(max_size=30)


def records(topic: str, values: st.SearchStrategy[bytes | None] | None = None) -> st.SearchStrategy[Fetched]:
    """Records of a topic: odd in value, headers, timestamp, place, or all of them."""
    return st.builds(
        Fetched,
        st.just(f"upshot.{topic}"),
        st.sampled_from([HOME, HOME, 1 - HOME]),
        st.integers(1, 2**62),
        TIMESTAMPS,
        st.none() | st.binary(max_size=5),
        events(topic) if values is None else values,
        st.just(()) | HEADERS,
    )


def a_record(topic: str, event: dict[str, Any] | bytes | None, offset: int = 0, **changed: Any) -> Fetched:
    """One record of a topic, where its subject `pr:1` belongs."""
    value = json.dumps(event).encode() if isinstance(event, dict) else event
    said = {"partition": HOME, "timestamp": NOON, "key": None, "headers": ()} | changed
    return Fetched(topic=f"upshot.{topic}", offset=offset, value=value, **said)

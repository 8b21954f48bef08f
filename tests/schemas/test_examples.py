"""The examples: each is read as its folder says, and none is ever edited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from pydantic import BaseModel

from upshot.errors import InvalidEvent
from upshot.schemas.dead_letters import REASONS
from upshot.streams.events.records import decode, decode_deferral, decode_outcome, decode_score, decode_wait
from upshot.streams.events.topics import TOPICS

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
WRITTEN = datetime(2026, 7, 1, tzinfo=UTC)
VALID = sorted(EXAMPLES.glob("*/*.json"))
BINARY = sorted(EXAMPLES.glob("*/binary/*.json"))
REFUSED = sorted(EXAMPLES.glob("*/refused/*.json"))
NOT_SHOWN = {
    "too_large",
    "unusable_outcome",
    "not_otlp",
    "unmapped",
    "followup_failed",
    "notice_failed",
    "kind_clash",
    "poison_record",
}
"""Reasons without an example: a megabyte, a wait, bytes that are no JSON, somebody's code, another score, a
receiver."""


class Record(NamedTuple):
    """A record as the codec reads it."""

    topic: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0
    offset: int = 0
    timestamp: int = int(WRITTEN.timestamp() * 1000)
    key: bytes | None = None


def name_of(path: Path) -> str:
    return path.relative_to(EXAMPLES).as_posix()


def read(topic: str, record: Record) -> BaseModel:
    """The event, as the worker decodes it."""
    match topic:
        case "outcomes":
            return decode_outcome(record)
        case "waits":
            return decode_wait(record)
        case "deferrals":
            return decode_deferral(record)
        case "scores":
            return decode_score(record)
        case _:
            return decode(TOPICS[topic].schema, record)


@pytest.mark.parametrize("path", VALID, ids=name_of)
def test_example_is_read(path: Path) -> None:
    topic = path.parent.name
    sent = path.read_bytes()
    event = read(topic, Record(topic, sent))
    again = event.model_dump_json(by_alias=True, exclude_unset=True).encode()
    assert read(topic, Record(topic, again)) == event
    said = {name: value for name, value in json.loads(sent).items() if value is not None}
    assert set(said) & set(type(event).model_fields) <= event.model_fields_set


@pytest.mark.parametrize("path", BINARY, ids=name_of)
def test_binary_mode_says_the_same_as_structured(path: Path) -> None:
    example: dict[str, Any] = json.loads(path.read_bytes())
    said = example["value"]
    value = said.encode() if isinstance(said, str) else msgspec.json.encode(said)
    headers = [(name, text.encode()) for name, text in example["headers"].items()]
    structured = {
        name.removeprefix("ce_"): text for name, text in example["headers"].items() if name.startswith("ce_")
    }
    expected = decode_outcome(Record("outcomes", msgspec.json.encode({**structured, "data": said})))
    assert decode_outcome(Record("outcomes", value, headers)) == expected


@pytest.mark.parametrize("path", REFUSED, ids=name_of)
def test_refused_example_gives_its_reason(path: Path) -> None:
    reason, _, what = path.stem.partition("--")
    assert what, "a refused example is called <reason>--<what>.json"
    topic = path.parents[1].name
    with pytest.raises(InvalidEvent) as caught:
        read(topic, Record(topic, path.read_bytes()))
    assert caught.value.reason == reason, caught.value.detail
    assert caught.value.detail


def test_every_topic_has_examples() -> None:
    assert {path.parent.name for path in VALID} == set(TOPICS)
    assert all((EXAMPLES / topic / "refused").is_dir() for topic in TOPICS)


def test_every_reason_has_an_example() -> None:
    assert {path.stem.partition("--")[0] for path in REFUSED} == set(REASONS) - NOT_SHOWN


def test_no_example_was_edited() -> None:
    lines = [line.split("  ", 1) for line in (EXAMPLES / "SHA256SUMS").read_text().splitlines()]
    listed = {name: digest for digest, name in lines}
    found = {name_of(path): sha256(path.read_bytes()).hexdigest() for path in EXAMPLES.rglob("*.json")}
    edited = sorted(name for name in listed if found.get(name) != listed[name])
    assert not edited, "released examples are never edited or removed: add new ones instead"
    assert not sorted(set(found) - set(listed)), (
        "new examples need a line in SHA256SUMS (see README.md there)"
    )

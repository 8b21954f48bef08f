"""What is read before an event is known to be valid.

Refused alike, whatever it looks like, and without detours.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from tests.odd_records import a_record
from upshot.errors import InvalidEvent
from upshot.processors.correlate import state
from upshot.processors.correlate.state import as_stored_wait
from upshot.schemas.waits import Rule
from upshot.streams.events import decode as arrivals
from upshot.streams.events import parsing
from upshot.streams.events.decode import read_wait
from upshot.streams.events.parsing import MAX_DEPTH, is_deep, parse
from upshot.streams.events.topics import TOPICS

DEEP = b"[]" * (MAX_DEPTH + 1)
#: Errors that may be made to tell the first of them.
FEW = 250


@pytest.mark.parametrize(
    "text",
    [b'"' + b'\\"' * 40_000, b'"' * 40_000, b'"' + b"\\" * 40_001, b'"' * 40_001, b"[" * 40_000 + b'"'],
    ids=["escaped quotes", "quotes", "escapes", "an odd quote", "brackets"],
)
def test_no_byte_of_a_text_is_looked_at_twice(text: bytes) -> None:
    found = list(parsing._JSON_TEXT.finditer(text))
    assert sum(len(one[0]) for one in found) <= len(text)
    # A search that fails begins anew at each quote: this one can't fail.
    assert all(parsing._JSON_TEXT.match(text, quote.start()) for quote in re.finditer(b'"', text[:50]))
    with pytest.raises(InvalidEvent):
        parse(DEEP + text)


@pytest.mark.parametrize(
    ("value", "deep"),
    [
        (b"[" * 200 + b"]" * 200, False),
        (b"[" * 201 + b"]" * 201, True),
        (b'["' + b"[" * 500 + b'"]', False),
        (b'["\\"' + b"[" * 500 + b'"]', False),
        (b'["\\\\",' + b"[" * 500 + b'""', True),
        (b'{"a":"\\\\\\"",' + b'"b":{' * 250, True),
        (b'{"a":[],"b":{}}' * 300, False),
        (b'"' + b"[" * 500, False),
    ],
)
def test_depth_is_counted_outside_of_texts(value: bytes, deep: bool) -> None:
    assert is_deep(value + b" " * 2 * MAX_DEPTH) is deep


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-16"])
def test_another_encoding_hides_no_depth(encoding: str) -> None:
    # The bytes of U+2222 are quotes, too.
    value = '["\u2222\u2222",' + "[" * 100_000 + '"'
    with pytest.raises(InvalidEvent):
        parse(value.encode(encoding))


def _fields(model: type[BaseModel]) -> list[tuple[str, Any]]:
    return [
        (name, get_origin(plain))
        for name, field in model.model_fields.items()
        for plain in [
            get_args(field.annotation)[0] if get_origin(field.annotation) is Annotated else field.annotation
        ]
        if get_origin(plain) in (list, dict)
    ]


#: OTLP is described by its schema, and read by another.
MODELS = [*(topic.schema for name, topic in TOPICS.items() if name != "otlp"), Rule]


@pytest.mark.parametrize(
    ("model", "name", "kind"), [(model, name, kind) for model in MODELS for name, kind in _fields(model)]
)
def test_many_errors_cost_no_more_than_a_few(model: type[BaseModel], name: str, kind: type) -> None:
    wrong: Any = [None] * 20_000 if kind is list else {"x" * 201 + str(n): None for n in range(20_000)}
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: wrong})
    locations = [error["loc"][0] for error in caught.value.errors()]
    assert 0 < locations.count(name) <= FEW


def test_no_cache_keeps_many_large_rules() -> None:
    for number in range(40):
        on = {f"t{number}-{n}": {"score": 1} for n in range(500)}
        wait = {"run_id": "r", "name": "n", "subject": "s", "rule": {"on": on, "within": "P1D"}}
        read = read_wait(a_record("waits", wait))
        assert as_stored_wait(read).rule.on.keys() == on.keys()
    sizes = [cache.cache_info().currsize for cache in (arrivals._large_rule_of, state._large_rule_behind)]
    assert sizes == [16, 16]
    before = arrivals._rule_of.cache_info().currsize, state._cached.cache_info().currsize
    assert as_stored_wait(read_wait(a_record("waits", wait))).wait_id
    assert before == (arrivals._rule_of.cache_info().currsize, state._cached.cache_info().currsize)


def test_a_large_object_is_read_whole() -> None:
    on = {f"t{n}": {"score": n} for n in range(1_000)}
    rule = Rule.model_validate({"on": on, "within": "P1D"})
    assert {name: match.score for name, match in rule.on.items()} == {f"t{n}": n for n in range(1_000)}
    on["t777"] = {"score": []}
    with pytest.raises(ValidationError) as caught:
        Rule.model_validate({"on": on, "within": "P1D"})
    assert caught.value.errors()[0]["loc"][:2] == ("on", "t777")

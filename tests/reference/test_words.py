"""JSON Schema in words, and Markdown that can't break its table."""

from __future__ import annotations

from typing import Any

import pytest

from tools.reference.markdown import table
from tools.reference.words import default_of, in_words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 512}, "text, 1 to 512 characters"),
        ({"type": "string", "maxLength": 1_000_000}, "text, at most 1,000,000 characters"),
        ({"type": "string", "format": "date-time"}, "instant"),
        ({"type": "string", "format": "duration"}, "duration"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**63}, "whole number, at least 0"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number, more than 0, at most 1"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "whole number, 1 to 9"),
        ({"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "null"}]}, "boolean or number or null"),
        ({"enum": ["a", "b"], "type": "string"}, "`a`, `b`"),
        ({"const": "1.0", "type": "string"}, "`1.0`"),
        ({"type": "array", "items": {"$ref": "#/$defs/Match"}}, "list of [Match](#match)"),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
            "[text, whole number]",
        ),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
        ({"type": "object", "additionalProperties": True}, "object"),
        ({"default": None}, "any JSON"),
    ],
)
def test_a_type_in_words(schema: dict[str, Any], words: str) -> None:
    assert in_words(schema) == words


def test_defaults() -> None:
    assert default_of({"default": "first"}) == "`first`"
    assert default_of({"default": False}) == "`false`"
    assert default_of({"default": 0}) == "`0`"
    assert default_of({"default": None}) == ""


def test_cells_stay_in_their_row() -> None:
    made = table(("a", "b"), [("x | y", "two\nlines")])
    assert made.splitlines() == ["| a | b |", "| --- | --- |", "| x \\| y | two lines |"]

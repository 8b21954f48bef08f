"""Reading a span's attributes: values of the wrong type count as absent, never as an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import inf, isfinite
from typing import Any, TypeVar

from upshot.otel.content_names import CONTENT, NO_CONTENT
from upshot.otel.names import listed

Attributes = Mapping[str, Any]

LONGEST_NAME = 200
LONGEST_ID = 512
#: Characters of input, output and error that are kept. Two of them fit into an event, whatever their
#: characters.
LONGEST_CONTENT = 100_000
#: An attribute with more characters is content, whatever its name.
_LONGEST_ATTRIBUTE = 1000

_EXACT = frozenset(name for name in CONTENT if not name.endswith("."))
_BEGINNINGS = tuple(name for name in CONTENT if name.endswith("."))


Index = Mapping[str, tuple[tuple[str, int], ...]]
V = TypeVar("V")


def index_of(table: Mapping[str, Iterable[str]]) -> Index:
    """A table of names by field, inverted: each name's fields, with its rank among a field's names."""
    index: dict[str, tuple[tuple[str, int], ...]] = {}
    for field, names in table.items():
        for rank, name in enumerate(names):
            index[name] = (*index.get(name, ()), (field, rank))
    return index


def fields_of(attributes: Attributes, index: Index, usable: Callable[[Any], V | None]) -> dict[str, V]:
    """By field the first usable value.

    A span has few attributes and a table many names: hence by attribute.
    """
    if index.keys().isdisjoint(attributes):
        return {}
    found: dict[str, tuple[int, V]] = {}
    for name, value in attributes.items():
        for field, rank in index.get(name, ()):
            if field not in found or rank < found[field][0]:
                used = usable(value)
                if used is not None:
                    found[field] = rank, used
    return {field: value for field, (_, value) in found.items()}


def text(attributes: Attributes, names: Iterable[str], longest: int = LONGEST_NAME) -> str | None:
    """The first text that is not empty; cut to `longest` characters."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value[:longest]
    return None


def as_text(value: Any) -> str | None:
    """A non-empty text, cut to a name's length."""
    return value[:LONGEST_NAME] if isinstance(value, str) and value else None


def as_count(value: Any) -> int | None:
    """A whole number, not negative; also 12.0 or "12", as some exporters write whole numbers."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    return None


def as_amount(value: Any) -> float | None:
    """A finite number, not negative."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf:
        return float(value)
    return None


def as_texts(value: Any) -> list[str] | None:
    """A list of non-empty texts, or such a list as JSON; a single text is a list of one."""
    if isinstance(value, str):
        value = listed(value) or [value]
    items = value if isinstance(value, list | tuple) else []
    return [item[:LONGEST_NAME] for item in items if isinstance(item, str) and item] or None


def content(attributes: Attributes, names: Iterable[str]) -> str | None:
    """The first content, as text or JSON; content spread over many attributes is gathered into one object."""
    exact, beginnings = _split(tuple(names))
    if exact.isdisjoint(attributes) and not any([name.startswith(beginnings) for name in attributes]):
        return None  # as most spans: a span has few attributes and the vocabulary many names
    for name in names:
        value: Any = _gathered(attributes, name) if name.endswith(".") else attributes.get(name)
        if value is not None:
            stated = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
            # Half a character, which a text may hold and an event may not, costs that character alone.
            return stated[:LONGEST_CONTENT].encode("utf-8", "replace").decode()
    return None


@lru_cache(maxsize=64)
def _split(names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names of attributes, and beginnings of such names."""
    beginnings = tuple(name for name in names if name.endswith("."))
    return frozenset(names) - {*beginnings}, beginnings


def _gathered(attributes: Attributes, beginning: str) -> dict[str, Any] | None:
    names = sorted(n for n in attributes if n.startswith(beginning) and n not in NO_CONTENT)
    return {name.removeprefix(beginning): attributes[name] for name in names} or None


def tidy(attributes: Attributes, taken: Iterable[str]) -> dict[str, Any]:
    """The attributes without a field, under names allowed in an event."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
        if name not in taken and name and len(name) <= LONGEST_NAME
    }


def is_content(name: str, value: Any) -> bool:
    """Whether an attribute is known for content, or too long for a fact: never kept as an attribute."""
    if name in NO_CONTENT:
        return False
    if isinstance(value, float) and not isfinite(value):
        return True
    return name in _EXACT or name.startswith(_BEGINNINGS) or length_of(value) > _LONGEST_ATTRIBUTE


def length_of(value: Any) -> int:
    """The characters of all texts in a value, and 1 for anything else."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + length_of(item) for key, item in value.items())
    return sum(map(length_of, value)) if isinstance(value, list | tuple) else 1


__all__ = [
    "LONGEST_CONTENT",
    "LONGEST_ID",
    "LONGEST_NAME",
    "Attributes",
    "Index",
    "as_amount",
    "as_count",
    "as_text",
    "as_texts",
    "content",
    "fields_of",
    "index_of",
    "is_content",
    "length_of",
    "text",
    "tidy",
]

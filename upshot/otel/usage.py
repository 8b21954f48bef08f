"""A call's usage in a single way of counting: cached tokens are part of the input, thinking of the output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from upshot.otel import vocabulary
from upshot.otel.names import provider_of
from upshot.otel.prices import Usage
from upshot.otel.raw_answers import raw_answer
from upshot.otel.reading import Attributes, as_count, fields_of, index_of

#: Characters of an attribute that is read as a JSON object.
_LONGEST_OBJECT = 20_000
_COUNTS = index_of(vocabulary.COUNTS)
_TOTAL = index_of({"total": vocabulary.TOTALS})
_USAGE_NAMES = frozenset((*_COUNTS, *_TOTAL))
#: Names that hold the provider's own figures. Bedrock's Converse counts cached tokens beside the input.
_AS_THE_API_SAYS = (
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
)
_BESIDE = ("aws.bedrock",)
_STRANDS = "strands-agents"
_OBJECTS = frozenset(vocabulary.OBJECTS)


def spread(attributes: Attributes) -> Attributes:
    """The attributes, with the members of known JSON objects, and of raw answers, as attributes of their own.

    `metadata.ls_provider`.
    """
    found: dict[str, Any] = {}
    for name in () if _OBJECTS.isdisjoint(attributes) else vocabulary.OBJECTS:
        value = attributes.get(name)
        members = _object(value) if isinstance(value, str) else value
        if isinstance(members, Mapping):
            found |= {f"{name}.{member}": inner for member, inner in members.items()}
    if (raw := raw_answer(attributes)) is not None:
        reported = any(name in attributes for name in _COUNTS)  # by the span's own figures
        found |= {name: value for name, value in raw.items() if not (reported and name in _USAGE_NAMES)}
    return {**found, **attributes} if found else attributes


def usage_in(attributes: Attributes) -> Usage:
    """The tokens named by spread attributes, for any producer's way of counting."""
    counts = fields_of(attributes, _COUNTS, as_count)
    if not counts:
        return NOTHING
    total = fields_of(attributes, _TOTAL, as_count).get("total")
    return inclusive(Usage(**counts), total, beside=_counts_beside(attributes))


def inclusive(usage: Usage, total: int | None, *, beside: bool = False) -> Usage:
    """The same usage with cached tokens inside the input and reasoning inside the output; never negative.

    `total` decides between inside and beside, where the sum fits. Else a part larger than the whole stands
    beside, and `beside` states this dialect's way with cached tokens.
    """
    read, written = usage.cached_input_tokens or 0, usage.cache_write_input_tokens or 0
    thought = usage.reasoning_output_tokens or 0
    cached = read + written
    if not cached and not thought:
        return usage
    given, made = usage.input_tokens, usage.output_tokens
    more = _that_adds_up(given or 0, made or 0, total, read, written, thought)
    if more is None:
        more = (
            cached if beside or (given is not None and given < cached) else 0,
            thought if made is not None and made < thought else 0,
        )
    return usage._replace(
        input_tokens=None if given is None else given + more[0],
        output_tokens=None if made is None else made + more[1],
    )


def _that_adds_up(
    given: int, made: int, total: int | None, read: int, written: int, thought: int
) -> tuple[int, int] | None:
    """The tokens beside input and output, by the total; None where no reading adds up."""
    for in_more in (0, read + written, read, written):
        for out_more in (0, thought):
            fits = given + in_more >= read + written and made + out_more >= thought
            if fits and given + in_more + made + out_more == total:
                return in_more, out_more
    return None


def _counts_beside(attributes: Attributes) -> bool:
    if not any(name in attributes for name in _AS_THE_API_SAYS):
        return False
    providers = [attributes[name] for name in vocabulary.PROVIDERS if isinstance(attributes.get(name), str)]
    return any(word == _STRANDS or provider_of(word) in _BESIDE for word in providers)


def _object(value: str) -> Any:
    if not value.startswith("{") or len(value) > _LONGEST_OBJECT:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


NOTHING = Usage()

__all__ = ["NOTHING", "inclusive", "spread", "usage_in"]

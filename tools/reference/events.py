"""The page on events: every field, its type, its limits, and examples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from tools.reference.markdown import code, page, table
from tools.reference.words import default_of, fields_of, in_words, prose, required_of
from upshot.schemas.fields import EARLIEST, LATEST, LONGEST_WINDOW
from upshot.streams.events.topics import MAX_EVENT_BYTES, TOPICS, Topic

#: Where the examples lie, seen from the page.
_EXAMPLES = "../../schemas/examples"

_YEARS = f"{EARLIEST.year} to {LATEST.year - 1}"
_DAYS = LONGEST_WINDOW // timedelta(days=1)
_INTRO = f"""Every event is the value of a Kafka record: one JSON object in UTF-8, at most
{MAX_EVENT_BYTES:,} bytes. Unlisted fields are ignored, never an error. Unusable records go to the topic
`dead-letters` (see [the reasons](dead-letter-reasons.md)).

| word | meaning |
| --- | --- |
| text | a JSON string; numbers are not taken for text |
| instant | RFC 3339 text with an offset, such as `2026-05-04T09:15:02.113Z`, in the years {_YEARS} |
| duration | ISO 8601 text, such as `P14D` or `PT30M`, longer than zero and at most {_DAYS} days |
| number | a finite JSON number |
| whole number | a JSON number without a fraction, less than 2⁶³ |

The key of the record decides its partition. Any partitioner will do: a record on another partition than
its key's is forwarded once. An event without a key works, too."""


def events_page(examples: Path) -> str:
    """The page; `examples` is the folder of the examples."""
    return page("Events", _INTRO, *(_section(topic, examples / topic.name) for topic in TOPICS.values()))


def _section(topic: Topic, examples: Path) -> str:
    title = f"## {topic.schema.__name__}"
    key = f"key `{topic.key}`" if topic.key else "any key"
    place = f"Topic `{topic.name}`, {key}. {topic.purpose}."
    shapes = [
        f"### {shape.__name__}\n\n{prose(shape)}\n\n{_fields(shape)}"
        for shape in (*topic.also, *_shapes_first_used(topic))
    ]
    parts = [title, place, prose(topic.schema), _fields(topic.schema), *shapes, _shown(examples)]
    return "\n\n".join(part for part in parts if part)


def _shapes_first_used(topic: Topic) -> Iterator[type[BaseModel]]:
    """The shapes inside an event not shown by an earlier section."""
    shown: set[type[BaseModel]] = set()
    for other in TOPICS.values():
        found = dict.fromkeys(_shapes(other.schema))
        if other is topic:
            yield from (shape for shape in found if shape not in shown)
            return
        shown.update(found)


def _shapes(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        for shape in _models_in(field.annotation):
            yield shape
            yield from _shapes(shape)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _fields(model: type[BaseModel]) -> str:
    required = required_of(model)
    return table(
        ("field", "type", "", "meaning"),
        (
            (
                f"`{name}`",
                in_words(schema),
                "required" if name in required else default_of(schema),
                schema.get("description", ""),
            )
            for name, schema in fields_of(model).items()
        ),
    )


def _shown(examples: Path) -> str:
    """The least example, if any, and links to all examples."""
    least = examples / "least.json"
    links = ", ".join(
        f"[{path.relative_to(examples).with_suffix('').as_posix()}]({_EXAMPLES}/{path.relative_to(examples.parent).as_posix()})"
        for path in sorted([*examples.glob("*.json"), *examples.glob("binary/*.json")])
    )
    shown = f"The least that works:\n\n{code(least.read_text(), 'json')}\n\n" if least.is_file() else ""
    return f"{shown}Examples: {links}."


__all__ = ["events_page"]

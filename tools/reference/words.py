"""JSON Schema in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]
_LARGEST = 2**63
_FORMATS = {"date-time": "instant", "duration": "duration", "path": "path", "password": "text"}


def fields_of(model: type[BaseModel]) -> dict[str, Schema]:
    """The fields of a model by their names in events, as JSON Schema."""
    properties: dict[str, Schema] = model.model_json_schema(by_alias=True)["properties"]
    return properties


def required_of(model: type[BaseModel]) -> frozenset[str]:
    """The required fields."""
    return frozenset(model.model_json_schema(by_alias=True).get("required", ()))


def in_words(schema: Schema) -> str:
    """A type with its limits: `text, 1 to 512 characters`, `whole number, at least 0`."""
    if "anyOf" in schema:
        return " or ".join(in_words(kind) for kind in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _plain(schema)


def _plain(schema: Schema) -> str:
    match schema.get("type"):
        case "string":
            kind = _FORMATS.get(schema.get("format", ""), "text")
            return _limited(kind, schema, "minLength", "maxLength", " characters")
        case "integer":
            return _limited("whole number", schema, "minimum", "maximum")
        case "number":
            return _limited("number", schema, "minimum", "maximum")
        case "boolean" | "null" as kind:
            return str(kind)
        case "array":
            pair = schema.get("prefixItems")
            return f"[{', '.join(map(in_words, pair))}]" if pair else f"list of {in_words(schema['items'])}"
        case "object":
            values = schema.get("additionalProperties")
            return "object" if not isinstance(values, dict) else f"object of {in_words(values)}"
        case _:
            return "any JSON"


def _limited(kind: str, schema: Schema, least: str, most: str, unit: str = "") -> str:
    low, high = schema.get(least), schema.get(most)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    limits = []
    if low is not None and high is not None:
        limits.append(f"{low} to {high:,}{unit}")
    elif low is not None:
        limits.append(f"at least {low}{unit}")
    elif high is not None and above is None:
        limits.append(f"at most {high:,}{unit}")
    if above is not None:
        limits.append(f"more than {above}" + (f", at most {high}" if high is not None else ""))
    if below is not None and below < _LARGEST:
        limits.append(f"less than {below}")
    return ", ".join([kind, *limits])


def default_of(schema: Schema) -> str:
    """The value of an absent field; '' where there is none."""
    default = schema.get("default")
    return "" if default is None or default == "" else f"`{json.dumps(default)}`".replace('"', "")


def prose(model: type[BaseModel]) -> str:
    """A model's docstring, each paragraph in a single line."""
    paragraphs = (model.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


__all__ = ["Schema", "default_of", "fields_of", "in_words", "prose", "required_of"]

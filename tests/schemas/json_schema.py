"""As much of JSON Schema as our schemas use: whether a value fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
CHECKS: Mapping[str, Callable[[Any, Any], bool]] = {
    "const": lambda value, wanted: value == wanted,
    "enum": lambda value, wanted: value in wanted,
    "minLength": lambda value, wanted: len(value) >= wanted,
    "maxLength": lambda value, wanted: len(value) <= wanted,
    "minItems": lambda value, wanted: len(value) >= wanted,
    "maxItems": lambda value, wanted: len(value) <= wanted,
    "minProperties": lambda value, wanted: len(value) >= wanted,
    "minimum": lambda value, wanted: value >= wanted,
    "maximum": lambda value, wanted: value <= wanted,
    "exclusiveMinimum": lambda value, wanted: value > wanted,
    "exclusiveMaximum": lambda value, wanted: value < wanted,
    "required": lambda value, wanted: set(wanted) <= value.keys(),
}
KNOWN = {
    *CHECKS,
    "type",
    "anyOf",
    "$ref",
    "properties",
    "additionalProperties",
    "propertyNames",
    "items",
    "prefixItems",
}
WORDS = {"$defs", "$id", "$schema", "title", "description", "default", "format", "examples"}


def fits(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether `value` is what `schema` says; `root` has its definitions.

    Fails for a word that isn't known here.
    """
    assert schema.keys() <= KNOWN | WORDS, schema.keys() - KNOWN - WORDS
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in schema:
        return any(fits(value, choice, root) for choice in schema["anyOf"])
    if "type" in schema and not TYPES[schema["type"]](value):
        return False
    return all(check(value, schema[word]) for word, check in CHECKS.items() if word in schema) and inside(
        value, schema, root
    )


def inside(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    """Whether what is in a list or an object fits."""
    if isinstance(value, list):
        kinds = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
        return all(fits(item, kind, root) for item, kind in zip(value, kinds, strict=False))
    if not isinstance(value, dict):
        return True
    own = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    names = schema.get("propertyNames", {})
    return all(
        fits(name, names, root)
        and fits(item, own.get(name, others if isinstance(others, dict) else {}), root)
        for name, item in value.items()
    )

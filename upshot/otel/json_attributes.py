"""Attributes in OTLP's JSON: protobuf's AnyValue as plain JSON, within limits of number and depth."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from upshot.otel.json_values import Object, WrongType, field, number, objects, text, whole
from upshot.otel.request_reading import MAX_LEVELS, BadSpan, Reading


def as_object(value: Any) -> Object:
    """The value, an object. Raises WrongType."""
    if not isinstance(value, dict):
        raise WrongType("an object is something else")
    return value


def attributes_of(holder: Object, reading: Reading) -> dict[str, Any]:
    """The attributes of a record or a resource. Raises BadSpan, WrongType, InvalidEvent."""
    return _pairs(objects(holder, "attributes", "attributes"), reading, 0)


def _pairs(pairs: list[Object], reading: Reading, level: int) -> dict[str, Any]:
    reading.values(len(pairs))
    return {
        text(pair, "key", "key"): value_of(as_object(field(pair, "value", "value") or {}), reading, level)
        for pair in pairs
    }


def value_of(value: Object, reading: Reading, level: int) -> Any:
    """A value as JSON. Raises BadSpan, WrongType, InvalidEvent."""
    kinds = [(name, content) for name, content in value.items() if content is not None and name in _READERS]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise WrongType("a value is of two types at once")
    [(name, content)] = kinds
    return _READERS[name](content, reading, level)


def _text(content: Any, reading: Reading, level: int) -> str:
    return text({"stringValue": content}, "stringValue", "stringValue")


def _truth(content: Any, reading: Reading, level: int) -> bool:
    if not isinstance(content, bool):
        raise WrongType("boolValue is neither true nor false")
    return content


def _whole(content: Any, reading: Reading, level: int) -> int:
    return whole("intValue", content, -(2**63), 2**63 - 1)


def _number(content: Any, reading: Reading, level: int) -> float:
    return number("doubleValue", content)


def _bytes(content: Any, reading: Reading, level: int) -> str:
    try:
        plain = content.replace("-", "+").replace("_", "/").rstrip("=")
        return b64encode(b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode()
    except (ValueError, AttributeError, TypeError):
        raise WrongType("bytesValue is no base64") from None


def _array(content: Any, reading: Reading, level: int) -> list[Any]:
    values = objects(as_object(content), "values", "values")
    reading.values(len(values))
    return [value_of(item, reading, _deeper(level)) for item in values]


def _kvlist(content: Any, reading: Reading, level: int) -> dict[str, Any]:
    return _pairs(objects(as_object(content), "values", "values"), reading, _deeper(level))


def _deeper(level: int) -> int:
    if level >= MAX_LEVELS:
        raise BadSpan(f"with attributes deeper than {MAX_LEVELS} levels")
    return level + 1


_READERS = {
    "stringValue": _text,
    "boolValue": _truth,
    "intValue": _whole,
    "doubleValue": _number,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _kvlist,
    "string_value": _text,
    "bool_value": _truth,
    "int_value": _whole,
    "double_value": _number,
    "bytes_value": _bytes,
    "array_value": _array,
    "kvlist_value": _kvlist,
}


__all__ = ["as_object", "attributes_of", "value_of"]

"""The types of the client for TypeScript, from the JSON Schemas of the events."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upshot.streams.events.topics import ANY_CLIENT, TOPICS, Topic

_HEAD = """\
// Written by `make docs` from the schemas of the events: edit those instead.

/** JSON, whatever is in it. */
export type Json = unknown;
"""
_PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def types() -> str:
    """`events.d.ts`: an interface for each event written by clients, and the event of each topic."""
    topics = [topic for topic in TOPICS.values() if ANY_CLIENT in topic.producers]
    schemas = {topic.name: topic.schema.model_json_schema(by_alias=True) for topic in topics}
    parts: dict[str, str] = {}
    for topic in topics:
        schema = schemas[topic.name]
        for name, definition in schema.get("$defs", {}).items():
            parts[name] = _interface(name, definition)
        parts[_name(topic)] = _interface(_name(topic), schema)
    lines = [f"  {_key(topic.name)}: {_name(topic)};" for topic in topics]
    mode = 'export type Mode = NonNullable<Rule["mode"]>;\n'
    index = (
        "/** The event that each topic takes. */\nexport interface Topics {\n" + "\n".join(lines) + "\n}\n"
    )
    return "\n".join([_HEAD, *parts.values(), mode, index])


def _key(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'


def _name(topic: Topic) -> str:
    return f"{topic.schema.__name__}Event"


def _interface(name: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    lines = [_comment(schema.get("description", ""), ""), f"export interface {name} {{"]
    for field, about in schema.get("properties", {}).items():
        lines.append(_comment(about.get("description", ""), "  "))
        lines.append(f"  {field}{'' if field in needed else '?'}: {_type(about)};")
    return "\n".join([line for line in lines if line]) + "\n}\n"


def _comment(text: str, indent: str) -> str:
    lines = " ".join(text.split()).replace("*/", "* /")
    return f"{indent}/** {lines} */" if lines else ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(map(_literal, schema["enum"]))
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(map(_type, choices)))
    if len(all_of := schema.get("allOf", ())) == 1:
        return _type(all_of[0])
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        values = schema.get("additionalProperties", True)
        return f"Record<string, {_type(values) if isinstance(values, dict) else 'Json'}>"
    return _PLAIN.get(kind, "Json") if isinstance(kind, str) else "Json"


def _array(schema: Mapping[str, Any]) -> str:
    fixed: Sequence[Mapping[str, Any]] = schema.get("prefixItems", ())
    if fixed:
        return f"[{', '.join(map(_type, fixed))}]"
    inner = _type(schema.get("items", {}))
    return f"({inner})[]" if " | " in inner else f"{inner}[]"


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def main() -> int:
    """Write the file, or compare the file (`--check`); the exit code."""
    path, check = Path(sys.argv[-1]), "--check" in sys.argv
    if not check:
        path.write_text(types(), encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != types():
        sys.stderr.write(f"out of date: {path}; write it with  make docs\n")
        return 1
    return 0


__all__ = ["main", "types"]

if __name__ == "__main__":
    sys.exit(main())

"""`python -m tools.reference.json_schema [--check] FOLDER` writes a JSON Schema of every event,
or compares.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from tools.reference.pages import stale, write
from upshot.streams.events.topics import TOPICS, Topic

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Topics in a foreign encoding.
_FOREIGN = ("otlp",)
_DIGITS = 16


class _Plain(GenerateJsonSchema):
    """Without titles only repeating a field's name: generators of code make a type of each title."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema_files() -> dict[str, str]:
    """Every file by its name: a file for each event, and the index of all."""
    schemas = {topic.name: schema_of(topic) for topic in TOPICS.values() if topic.name not in _FOREIGN}
    index = {
        name: {
            "id": schema["$id"],
            "title": schema["title"],
            "latest": f"/schemas/{name}.json",
            "immutable": place(schema),
        }
        for name, schema in schemas.items()
    }
    files = {f"{name}.json": _written(schema) for name, schema in schemas.items()}
    return {"index.json": _written({"schemas": index}), **files}


def schema_of(topic: Topic) -> dict[str, Any]:
    """The schema of a topic's events. Its id is made from its content: no id ever means two schemas."""
    models: list[type[BaseModel]] = [topic.schema, *topic.also]
    shape = models[0].model_json_schema(by_alias=True, schema_generator=_Plain)
    if len(models) > 1:
        _, shape = models_json_schema(
            [(model, "validation") for model in models], by_alias=True, schema_generator=_Plain
        )
        shape = {
            "title": topic.schema.__name__,
            "anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models],
            **shape,
        }
    digest = sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:_DIGITS]
    return {"$schema": _DIALECT, "$id": f"urn:upshot:schema:{topic.name}:{digest}", **shape}


def place(schema: Mapping[str, Any]) -> str:
    """The path of exactly this schema on a web server."""
    *_, name, digest = schema["$id"].split(":")
    return f"/schemas/{name}/{digest}.json"


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference.json_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("folder", type=Path, help="where the files lie, schemas/json_schema")
    options = parser.parse_args()
    files = schema_files()
    if not options.check:
        write(files, options.folder, "*.json")
        return 0
    wrong = [str(options.folder / name) for name in stale(files, options.folder, "*.json")]
    if wrong:
        sys.stderr.write(f"out of date: {', '.join(wrong)}; write them with  make docs\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["main", "place", "schema_files", "schema_of"]

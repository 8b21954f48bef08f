"""The JSON Schemas are what the models say.

They take what is taken, and refuse what is refused for its shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.schemas.json_schema import fits
from tools.reference.json_schema import place, schema_files, schema_of
from tools.reference.pages import stale
from upshot.streams.events.topics import TOPICS

FOLDER = Path(__file__).parents[2] / "schemas"
NAMES = [name for name in TOPICS if name != "otlp"]


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "json_schema" / f"{name}.json").read_text())
    return found


def fields(name: str) -> dict[str, Any]:
    """The fields of a topic's event.

    Where its records may be other events too, of the event that it's named after.
    """
    found = schema(name)
    known: dict[str, Any] = found.get("properties") or found["$defs"][found["title"]]["properties"]
    return known


def test_the_files_are_up_to_date() -> None:
    assert stale(schema_files(), FOLDER / "json_schema", "*.json") == [], "write them with  make docs"


@pytest.mark.parametrize("name", NAMES)
def test_every_example_fits(name: str) -> None:
    for path in (FOLDER / "examples" / name).glob("*.json"):
        assert fits(json.loads(path.read_text()), schema(name), schema(name)), path


@pytest.mark.parametrize("name", NAMES)
def test_what_has_another_shape_does_not_fit(name: str) -> None:
    for wrong in ({}, [], None, {field: {} for field in fields(name)}):
        assert not fits(wrong, schema(name), schema(name))


def test_an_id_says_what_the_schema_says() -> None:
    index = json.loads(schema_files()["index.json"])["schemas"]
    assert list(index) == NAMES
    for name in NAMES:
        made = schema_of(TOPICS[name])
        assert made == schema(name)
        assert index[name]["id"] == made["$id"]
        assert (
            index[name]["immutable"]
            == place(made)
            == f"/schemas/{name}/{made['$id'].rpartition(':')[2]}.json"
        )
    assert len({entry["id"] for entry in index.values()}) == len(NAMES)


def test_fields_have_no_titles_of_their_own() -> None:
    for name in NAMES:
        assert not [field for field, said in fields(name).items() if "title" in said]

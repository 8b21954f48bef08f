"""One word for one thing: names of modules, classes and functions keep to docs/glossary.md."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house.conftest import Module

REPLACED = {
    "caught": "watermark",
    "cycle": "processing loop",
    "door": "ingest, HTTP API",
    "follower": "standby replica",
    "hasten": "install fast records",
    "heard": "answering event, evaluated",
    "landing": "in-flight write",
    "lane": "branch, partition batcher",
    "lanes": "branches",
    "letters": "dead letters",
    "nowhere": "null scope",
    "outlet": "event sink",
    "pace": "timing",
    "quick": "fast",
    "receipt": "delivery future",
    "said": "emitted score, announced",
    "told": "answering event, reported",
    "unfit": "non-determinism error",
    "unsure": "needs schema",
    "vitals": "metrics",
    "walk": "replay",
}
"""Words that names had before, and the terms that took their place."""
ANYWHERE = {
    "heard": "answering_event, readings, preceding",
    "kept": "stored, retained",
    "question": "wait, query, request",
    "said": "stated, payload, attributes, text",
    "told": "reported, lines, events",
}
"""Words that no variable, argument, field or attribute has: a name says what its value is."""
OF_THE_SDK = {"Event", "Experiment", "Run", "Step", "Followup"}
"""Classes that people use, named like the events which they record or wait for."""


def names(module: Module) -> Iterator[tuple[int, str]]:
    """The line and the name of everything that a module defines, and of the module."""
    yield 1, module.name.rpartition(".")[2]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def words(name: str) -> set[str]:
    """The words in a name, in lower case: of `LinkDoor` and of `link_door` they are `link` and `door`."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_names_hold_no_word_that_was_replaced(modules: list[Module]) -> None:
    broken = [
        f"{module.path}:{line}: {name}: write {', '.join(REPLACED[word] for word in found)}"
        for module in modules
        for line, name in names(module)
        if "dead_letters" not in name and (found := sorted(words(name) & REPLACED.keys()))
    ]
    assert not broken, "\n".join(broken)


def identifiers(module: Module) -> Iterator[tuple[int, str]]:
    """The line and the text of every identifier in a module."""
    yield from names(module)
    for node in ast.walk(module.tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)):
                yield node.lineno, name


def test_no_identifier_is_a_mere_participle(modules: list[Module]) -> None:
    broken = [
        f"{module.path}:{line}: {name}: write {', '.join(ANYWHERE[word] for word in found)}"
        for module in modules
        for line, name in identifiers(module)
        if (found := sorted(words(name) & ANYWHERE.keys()))
    ]
    assert not broken, "\n".join(broken)


def test_words_of_a_name() -> None:
    assert words("LinkDoor") == words("link_door") == {"link", "door"}


def test_a_class_has_a_name_of_its_own(modules: list[Module]) -> None:
    places = defaultdict(set)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(str(module.path))
    shared = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert set(shared) <= OF_THE_SDK, shared

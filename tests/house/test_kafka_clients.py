"""Kafka's clients are closed whatever fails: a client left behind goes on in the background, and logs without
end.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient"}
#: Files whose clients are started and stopped by Faust.
BY_FAUST = {"streams/runtime/app.py", "streams/runtime/consumer.py"}
#: Runs with the code of the version before, and ends with its process.
BY_ITSELF = {"tests/contract/version_before/make.py"}
#: Benchmarks end with their process.
FOLDERS = ("streams", "processors", "upshot", "insights", "tests")


def _sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.is_symlink() and path.relative_to(ROOT).as_posix() not in BY_FAUST | BY_ITSELF:
                yield path


def _makes_client(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLIENTS


def _called_on(node: ast.AST, methods: set[str]) -> set[str]:
    """The expressions whose method of such a name is called within `node`."""
    return {
        ast.unparse(call.func.value)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in methods
    }


def _is_start_of(made: set[str], call: ast.Call) -> bool:
    method = call.func
    return isinstance(method, ast.Attribute) and method.attr == "start" and ast.unparse(method.value) in made


def _left_open(tree: ast.AST) -> Iterator[str]:
    """Lines starting a client without a `try` or `async with` closing the client."""
    made = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _makes_client(node.value)
        for target in node.targets
    }
    guarded: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            closes = [*node.finalbody, *(part for handler in node.handlers for part in handler.body)]
            closed = set().union(*(_called_on(part, {"stop", "close"}) for part in closes))
            for part in node.body:
                for call in ast.walk(part):
                    if isinstance(call, ast.Call) and _called_on(call, {"start"}) & closed:
                        guarded.add(call.lineno)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_start_of(made, node) and node.lineno not in guarded:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.withitem) and _makes_client(node.context_expr):
            yield f"line {node.context_expr.lineno}: stays open where its start fails"


def test_a_client_is_closed_also_where_its_start_fails() -> None:
    found = [
        f"{path.relative_to(ROOT)}, {line}"
        for path in _sources()
        if "aiokafka" in (text := path.read_text())
        for line in _left_open(ast.parse(text))
    ]
    assert found == [], "start it in `async with upshot.streams.kafka.connection.started(client)`"


@pytest.mark.parametrize(
    "source",
    [
        "c = AIOKafkaConsumer()\nawait c.start()\ntry:\n    pass\nfinally:\n    await c.stop()",
        "async with AIOKafkaProducer() as p:\n    pass",
        "a = AIOKafkaAdminClient()\nawait a.start()",
    ],
)
def test_the_rule_finds_what_it_is_for(source: str) -> None:
    assert list(_left_open(ast.parse(source)))

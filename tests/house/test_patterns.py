"""No regular expression of the product can take more than linear time.

Told from the patterns, not by a clock.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.house.conftest import Module

#: Every byte, and one character that stands for all others.
_ALL = frozenset(range(257))
_CATEGORIES = {
    "DIGIT": frozenset(b"0123456789"),
    "SPACE": frozenset(b" \t\n\r\f\v"),
    "WORD": frozenset(char for char in range(256) if re.match(r"\w", chr(char))),
}
_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)


def faults(pattern: str | bytes, flags: int = 0) -> list[str]:
    """Why matching the pattern, or searching it, may take more than linear time; none where it can't."""
    parsed = _parser.parse(pattern, flags)
    items = list(parsed)
    anchored = bool(items) and items[0][0] is ops.AT
    return list(_of(items, [], flags | parsed.state.flags, frozenset() if anchored else _first(items, flags)))


def _of(items: Sequence[Any], rest: list[Any], flags: int, begins: frozenset[int]) -> Iterator[str]:
    """The faults of items that `rest` follows, in a pattern that `begins` so."""
    for number, (op, argument) in enumerate(items):
        after = [*items[number + 1 :], *rest]
        if op in _REPEATS and argument[1] is ops.MAXREPEAT:
            body, gives_back = list(argument[2]), op is not ops.POSSESSIVE_REPEAT
            chars = _chars(body, flags)
            if gives_back and list(_unbounded(body)):
                yield "a repeat within a repeat"
            if gives_back and chars & _first(after, flags):
                yield "what follows a repeat may begin like what is repeated"
            if chars & begins and not _may_be_empty(after):
                yield "what is repeated may begin the pattern, and what follows may be missing"
        for inner in _inside(op, argument):
            yield from _of(inner, after, flags, begins)


def _unbounded(items: Sequence[Any]) -> Iterator[Any]:
    for op, argument in items:
        if op in _REPEATS and argument[1] is ops.MAXREPEAT:
            yield op
        for inner in _inside(op, argument):
            yield from _unbounded(inner)


def _is_one_character(item: Any) -> bool:
    op, argument = item
    if op is ops.BRANCH:
        return all(map(_is_one_character, (part for branch in argument[1] for part in branch)))
    return op in (ops.ANY, ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.AT)


def _inside(op: Any, argument: Any) -> list[list[Any]]:
    if op in _REPEATS:
        return [list(argument[2])]
    if op is ops.SUBPATTERN:
        return [list(argument[3])]
    if op is ops.ATOMIC_GROUP:
        return [list(argument)]
    if op is ops.BRANCH:
        return [list(branch) for branch in argument[1]]
    if op in (ops.ASSERT, ops.ASSERT_NOT) and all(map(_is_one_character, argument[1])):
        return []
    assert op not in (ops.ASSERT, ops.ASSERT_NOT, ops.GROUPREF), f"{op} may take any time"
    return []


def _may_be_empty(items: Sequence[Any]) -> bool:
    return all(_one_may_be_empty(op, argument) for op, argument in items)


def _one_may_be_empty(op: Any, argument: Any) -> bool:
    if op in _REPEATS and argument[0] == 0:
        return True
    inner = _inside(op, argument)
    return bool(inner) and any(_may_be_empty(one) for one in inner)


def _first(items: Sequence[Any], flags: int) -> frozenset[int]:
    """The characters with which it may begin."""
    found: frozenset[int] = frozenset()
    for op, argument in items:
        inner = _inside(op, argument)
        found |= (
            frozenset().union(*(_first(one, flags) for one in inner)) if inner else _set(op, argument, flags)
        )
        if not _one_may_be_empty(op, argument):
            break
    return found


def _chars(items: Sequence[Any], flags: int) -> frozenset[int]:
    """The characters that it may hold."""
    found: frozenset[int] = frozenset()
    for op, argument in items:
        inner = _inside(op, argument)
        found |= (
            frozenset().union(*(_chars(one, flags) for one in inner)) if inner else _set(op, argument, flags)
        )
    return found


def _set(op: Any, argument: Any, flags: int) -> frozenset[int]:
    if op is ops.LITERAL:
        return frozenset({min(argument, 256)})
    if op is ops.NOT_LITERAL:
        return _ALL - {argument}
    if op is ops.ANY:
        return _ALL if flags & re.DOTALL else _ALL - {10}
    if op is ops.IN:
        negated = argument[0][0] is ops.NEGATE
        chars = frozenset().union(*(_member(*one) for one in argument if one[0] is not ops.NEGATE))
        return _ALL - chars if negated else chars
    return frozenset() if op is ops.AT else _ALL


def _member(op: Any, argument: Any) -> frozenset[int]:
    if op is ops.LITERAL:
        return frozenset({min(argument, 256)})
    if op is ops.RANGE:
        return frozenset(min(char, 256) for char in range(argument[0], argument[1] + 1))
    name = str(argument).removeprefix("CATEGORY_")
    chars = _CATEGORIES[name.removeprefix("NOT_")]
    return _ALL - chars | {256} if name.startswith("NOT_") else chars | {256}


def patterns(module: Module) -> Iterator[tuple[int, str | bytes, int]]:
    """Line, pattern and flags of each regular expression of a module."""
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if (
            isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr != "escape"
        ):
            pattern = node.args[0]
            assert isinstance(pattern, ast.Constant), f"{module.path}:{node.lineno} can't be looked at"
            names = {name.attr for name in ast.walk(node) if isinstance(name, ast.Attribute)}
            flags = [re.RegexFlag[name] for name in names if name in re.RegexFlag.__members__]
            yield node.lineno, pattern.value, sum(flags)


def test_no_pattern_of_the_product_can_be_slow(modules: list[Module]) -> None:
    found = [(module, *pattern) for module in modules for pattern in patterns(module)]
    assert len(found) > 5
    slow = [
        f"{module.path}:{line}: {pattern!r}: {fault}"
        for module, line, pattern, flags in found
        for fault in faults(pattern, flags)
    ]
    assert not slow, "\n".join(slow)


@pytest.mark.parametrize(
    "pattern",
    [
        rb'"(?:[^"\\]|\\.)*"',  # an escaped quote begins another
        r"(a+)+b",
        r"\s*\(version",
        r"\. Expected one of: .*?\(SYNTAX",
        r"a.*b.*c",
        r"(.+)/([0-9]{1,9})",
        r"\d+\d+x",
    ],
)
def test_what_could_be_slow_is_found(pattern: str | bytes) -> None:
    assert faults(pattern)


@pytest.mark.parametrize(
    "pattern", [r"\{([^{}]+)\}", r"[a-z][a-z0-9]*", rb'"(?:[^"\\]++|\\.?+)*+"?+', r"^ *--"]
)
def test_what_is_linear_is_not_found(pattern: str | bytes) -> None:
    assert not faults(pattern)

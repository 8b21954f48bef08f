"""JMESPath within a budget: expressions and what they look at come from others, so their cost is counted.

A step is a node that is visited, an element or eight characters that are copied or compared. Steps are
counted, not seconds: an expression gives the same for the same value on every machine, whatever else it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

from jmespath.exceptions import JMESPathError, JMESPathTypeError, UnknownFunctionError
from jmespath.functions import Functions
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

#: Steps that every evaluation may take, and what each byte of the value adds: to sum a megabyte of items
#: takes less than one step a byte.
LEAST_STEPS, STEPS_PER_BYTE = 10_000, 2
#: Bytes of the largest value. It counts where nobody says how large a value is.
LARGEST_VALUE = 1_000_000
#: An outcome of which nothing is known yet: what paths of rules look at.
ANY_OUTCOME: dict[str, Any] = {"type": "", "id": "", "source": "", "time": "", "data": None}
#: Characters that are copied or compared in one step.
_CHARACTERS = 8
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class OverBudget(JMESPathError):
    """An evaluation was ended: it takes more steps than are allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(f"it takes more than {most:,} steps")


class _Parser(Parser):
    """Keeps nothing: `compiled` does, and a tree takes up to a hundred kilobytes."""

    _CACHE: ClassVar[dict[str, Any]] = {}
    _MAX_SIZE = 0


class Expression:
    """A JMESPath expression that was compiled. Made by `compiled`."""

    def __init__(self, path: str) -> None:
        self._tree: Mapping[str, Any] = _Parser().parse(path).parsed
        names = path.split(".")
        #: The names of which it's made, where that is all of it.
        self.names: Sequence[str] | None = names if all(map(_NAME.fullmatch, names)) else None

    def search(self, value: Any, size: int = LARGEST_VALUE) -> Any:
        """What it finds in a value, whose JSON has `size` bytes.

        Raises OverBudget, or another JMESPathError where a function gets what it can't take.
        """
        return _Interpreter(LEAST_STEPS + STEPS_PER_BYTE * size).visit(self._tree, value)

    def copy(self, value: Any) -> Any:
        """The same, for what is to be written out.

        All of what it finds counts, too, as often as it's in there.
        """
        interpreter = _Interpreter(LEAST_STEPS + STEPS_PER_BYTE * LARGEST_VALUE)
        found = interpreter.visit(self._tree, value)
        interpreter.weigh(found)
        return found

    def least_steps(self, value: Any, most: int) -> int:
        """How many steps it takes at the least for values like `value`, in which unknown facts are None.

        Raises OverBudget where that is over `most`.
        """
        interpreter = _Least(most)
        try:
            interpreter.visit(self._tree, value)
        except OverBudget:
            raise
        except Exception:  # noqa: BLE001 - a function refuses what is unknown: it may take more, and needn't
            return most - interpreter.left
        return most - interpreter.left


@lru_cache(maxsize=1024)
def compiled(path: str) -> Expression:
    """The expression. Raises JMESPathError for a path that is none."""
    return Expression(path)


_LONG = (str, list, dict)
_EQUALITY = ("eq", "ne")
_OPTIONS = Options(custom_functions=Functions())


class _Interpreter(TreeInterpreter):
    """Evaluates one expression once. Its steps are taken from `left`."""

    _functions: Functions
    _visits: ClassVar[Mapping[str, Callable[..., Any]]]

    def __init_subclass__(cls) -> None:
        cls._visits = _visits_of(cls)

    def __init__(self, most: int) -> None:
        super().__init__(_OPTIONS)
        self._most = self.left = most

    def spend(self, steps: int) -> None:
        """Raises OverBudget."""
        self.left -= steps
        if self.left < 0:
            raise OverBudget(self._most)

    def visit(self, node: Any, value: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OverBudget(self._most)
        return self._visits[node["type"]](self, node, value)

    def weigh(self, value: Any) -> int:
        """Spend what it takes to write or compare all of a value, and tell how much that is.

        Looks at no more of it than is left: a few lists that hold each other can stand for any number of
        elements.
        """
        before, waiting = self.left, [value]
        while waiting:
            one = waiting.pop()
            if type(one) is str:
                self.spend(1 + len(one) // _CHARACTERS)
            elif type(one) is list:
                self.spend(1 + len(one))
                waiting.extend(one)
            elif type(one) is dict:
                self.spend(1 + len(one))
                waiting.extend(one)
                waiting.extend(one.values())
            else:
                self.spend(1)
        return before - self.left

    def visit_comparator(self, node: Any, value: Any) -> Any:
        comparator = node["value"]
        left, right = [self.visit(child, value) for child in node["children"]]
        if type(left) is type(right) and type(left) in _LONG:
            self.weigh(left)
        if comparator in _EQUALITY or (_has_order(left) and _has_order(right)):
            return self.COMPARATOR_FUNC[comparator](left, right)
        return None

    def visit_flatten(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        merged: list[Any] = []
        for element in base:
            if isinstance(element, list):
                self.spend(1 + len(element))
                merged.extend(element)
            else:
                self.spend(1)
                merged.append(element)
        return merged

    def visit_slice(self, node: Any, value: Any) -> Any:
        if isinstance(value, list):
            self.spend(len(value))
        return super().visit_slice(node, value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        name = node["value"]
        arguments = [self.visit(child, value) for child in node["children"]]
        cost = _COSTS.get(name)
        if cost is None:
            raise UnknownFunctionError(f"Unknown function: {name}()")
        cost(self, arguments)
        try:
            return self._functions.call_function(name, arguments)
        except JMESPathTypeError as error:
            # Its own text holds the whole value, however large.
            raise JMESPathError(
                f"{error.function_name}() takes {' or '.join(error.expected_types)}, not {error.actual_type}"
            ) from None


def _visits_of(kind: type[_Interpreter]) -> Mapping[str, Callable[..., Any]]:
    """What visits each type of node."""
    return {
        name.removeprefix("visit_"): getattr(kind, name) for name in dir(kind) if name.startswith("visit_")
    }


_Interpreter._visits = _visits_of(_Interpreter)


def _has_order(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


Cost = Callable[[_Interpreter, Sequence[Any]], None]


def _nothing(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    """It takes no longer for more; or it visits each element, which counts by itself."""


def _members(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    for argument in arguments:
        if isinstance(argument, list | dict):
            interpreter.spend(len(argument))
        elif isinstance(argument, str):
            interpreter.spend(len(argument) // _CHARACTERS)


def _all(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    for argument in arguments:
        interpreter.weigh(argument)


def _join(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    _all(interpreter, arguments)
    if len(arguments) == 2 and isinstance(arguments[0], str) and isinstance(arguments[1], list):
        interpreter.spend(len(arguments[0]) * len(arguments[1]) // _CHARACTERS)


def _sort(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    if arguments and isinstance(arguments[0], list):
        _compare(interpreter, arguments[0], len(arguments[0]))


def _by(interpreter: _Interpreter, arguments: Sequence[Any]) -> None:
    """Each element is visited for its key once more: keys may be long, and the same again and again."""
    if len(arguments) == 2 and isinstance(arguments[0], list) and hasattr(arguments[1], "expression"):
        array, key = arguments
        for element in array:
            _compare(interpreter, key.visit(key.expression, element), len(array))


def _compare(interpreter: _Interpreter, value: Any, count: int) -> None:
    """Compare all of a value as often as it takes to sort so many: a comparison is quicker than a visit."""
    weight = interpreter.weigh(value)
    interpreter.spend(weight * count.bit_length() // _CHARACTERS)


#: What each function of JMESPath costs, beside what it visits.
_COSTS: Mapping[str, Cost] = MappingProxyType(
    {
        **dict.fromkeys(("abs", "ceil", "floor", "length", "map", "not_null", "to_array", "type"), _nothing),
        **dict.fromkeys(("avg", "keys", "merge", "reverse", "sum", "values"), _members),
        **dict.fromkeys(
            ("contains", "ends_with", "max", "min", "starts_with", "to_number", "to_string"), _all
        ),
        **dict.fromkeys(("max_by", "min_by", "sort_by"), _by),
        "join": _join,
        "sort": _sort,
    }
)


def _is_false(value: Any) -> bool:
    """As JMESPath has it, to which 0 is true."""
    return value is None or value is False or (isinstance(value, _LONG) and not value)


class _Least(_Interpreter):
    """Evaluates for values of which little is known: None and what is empty may be anything.

    Takes the cheapest way: what depends on unknown facts gives None, which costs least wherever it goes.
    """

    def visit_or_expression(self, node: Any, value: Any) -> Any:
        known = self.visit(node["children"][0], value)
        return None if _is_false(known) else known

    def visit_and_expression(self, node: Any, value: Any) -> Any:
        known = self.visit(node["children"][0], value)
        return None if _is_false(known) else self.visit(node["children"][1], value)

    def visit_not_expression(self, node: Any, value: Any) -> Any:
        self.visit(node["children"][0], value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        for child in node["children"]:
            self.visit(child, value)

    def visit_filter_projection(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        return [] if isinstance(base, list) else None

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        name = node["value"]
        if name in _LEAST:
            arguments = [self.visit(child, value) for child in node["children"]]
            if None in arguments[:1]:
                return _LEAST[name]
        return super().visit_function_expression(node, value)


#: What functions give at the least that take None.
_LEAST: Mapping[str, Any] = MappingProxyType(
    {"not_null": None, "to_array": [], "to_string": "", "type": "null"}
)

__all__ = [
    "ANY_OUTCOME",
    "LARGEST_VALUE",
    "LEAST_STEPS",
    "STEPS_PER_BYTE",
    "Expression",
    "OverBudget",
    "compiled",
]

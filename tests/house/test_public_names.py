"""What modules say about themselves is true."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import TYPE_CHECKING

from upshot import errors

if TYPE_CHECKING:
    from tests.house.conftest import Module


def test_all_names_exist(modules: list[Module]) -> None:
    for module in modules:
        if _declares_all(module):
            found = importlib.import_module(module.name)
            missing = [name for name in found.__all__ if not hasattr(found, name)]
            assert not missing, f"{module.path}: __all__ names what isn't there: {missing}"
            assert len(set(found.__all__)) == len(found.__all__), f"{module.path}: __all__ repeats itself"


def test_modules_with_public_names_list_them(modules: list[Module]) -> None:
    silent = [str(module.path) for module in modules if _defines_public(module) and not _declares_all(module)]
    assert not silent, f"these modules have public names and no __all__: {silent}"


def test_modules_open_with_what_they_are_for(modules: list[Module]) -> None:
    silent = [str(module.path) for module in modules if not ast.get_docstring(module.tree)]
    assert not silent, f"these modules have no docstring: {silent}"


def test_the_tree_of_exceptions_is_drawn_as_it_is() -> None:
    drawn = inspect.getdoc(errors) or ""
    parents: list[tuple[int, str]] = []
    found: dict[str, str] = {}
    for line in drawn.splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        name = words.split()[0] if words.split() else ""
        if not isinstance(getattr(errors, name, None), type):
            continue
        depth = len(words) - len(words.lstrip())
        parents = [(d, n) for d, n in parents if d < depth]
        found[name] = parents[-1][1] if parents else "Exception"
        parents.append((depth, name))
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
    }
    assert found == real
    assert sorted(real) == sorted(errors.__all__)


def _declares_all(module: Module) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
        for node in module.tree.body
    )


def _defines_public(module: Module) -> bool:
    if module.name.split(".")[-1].startswith("_"):
        return False
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in module.tree.body)

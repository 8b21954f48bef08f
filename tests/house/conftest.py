"""The code base on disk: its modules, parsed, and its packaging."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("schemas", "streams", "processors", "insights")


#: Packages whose subpackages count as packages of their own.
WINGS = ("streams", "processors", "insights", "ops")


def room_of(name: str) -> str:
    """`streams.kafka` for `upshot.streams.kafka.admin`, `cli` for `upshot.cli.commands.up`, `upshot` for
    `upshot`.

    A wing's own modules are a room beside those of its subpackages: `processors` for
    `upshot.processors.clock`.
    """
    _, *parts = name.split(".")
    if not parts:
        return "upshot"
    if parts[0] in WINGS and len(parts) > 1 and (_folder(parts[:2]) / "__init__.py").exists():
        return ".".join(parts[:2])
    return parts[0]


def _folder(parts: list[str]) -> Path:
    return ROOT.joinpath(*parts) if parts[0] in LINKED else ROOT.joinpath("upshot", *parts)


@dataclass(frozen=True)
class Module:
    """A module of the product: where it lies, how it's imported, and its syntax tree."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The package of the module."""
        return room_of(self.name)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of all that it imports, wherever in the module: `from a import b` is `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno} imports relatively"
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def linked() -> tuple[str, ...]:
    """The root folders that are imported as `upshot.<folder>`."""
    return LINKED


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every module that is installed."""
    found = [_module(path, ROOT) for path in sorted((ROOT / "upshot").rglob("*.py")) if not _linked(path)]
    for folder in LINKED:
        found += [_module(path, ROOT, "upshot") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(found) > len(LINKED)
    return found


def _linked(path: Path) -> bool:
    inside = path.relative_to(ROOT / "upshot").parts
    return inside[0] in LINKED


def _module(path: Path, base: Path, below: str = "") -> Module:
    parts = path.relative_to(base).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    name = ".".join((below, *parts) if below else parts)
    return Module(path.relative_to(ROOT), name, ast.parse(path.read_text(), str(path)))

"""Folders, links and the packaging lists tell the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST = 400
"""Lines of a file. A longer one holds more than one home's worth."""
HOMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def test_every_folder_of_code_is_packaged(
    root: Path, linked: tuple[str, ...], project: dict[str, Any]
) -> None:
    folders = {path.parent for path in _sources(root, linked) if path.name == "__init__.py"}
    found = [_package(folder.relative_to(root), linked) for folder in folders]
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(found)


def test_the_map_leads_to_the_folders(root: Path, linked: tuple[str, ...], project: dict[str, Any]) -> None:
    setuptools = project["tool"]["setuptools"]
    moved = {name: _folder(name, linked) for name in setuptools["packages"]}
    needed = {name: folder for name, folder in moved.items() if folder != name.replace(".", "/")}
    assert setuptools["package-dir"] == {"upshot": "upshot", **needed}


def test_the_links_lead_to_the_folders(root: Path, linked: tuple[str, ...]) -> None:
    links = {path.name: os.readlink(path) for path in (root / "upshot").iterdir() if path.is_symlink()}
    assert links == {folder: f"../{folder}" for folder in linked}


def test_package_data_is_there(root: Path, linked: tuple[str, ...], project: dict[str, Any]) -> None:
    data = project["tool"]["setuptools"]["package-data"]
    empty = [
        f"{package}: {pattern}"
        for package, patterns in data.items()
        for pattern in patterns
        if not any((root / _folder(package, linked)).glob(pattern))
    ]
    assert not empty, "these patterns match no file"


def test_files_are_small_and_have_a_home(root: Path, linked: tuple[str, ...]) -> None:
    paths = [*_sources(root, linked)]
    paths += [
        path for folder in ("tests", "benchmarks", "examples") for path in (root / folder).rglob("*.py")
    ]
    assert len(paths) > len(linked)
    long = {str(path): lines for path in paths if (lines := len(path.read_text().splitlines())) > LONGEST}
    assert not long
    assert not [str(path) for path in paths if {path.stem, path.parent.name} & HOMELESS]


def _sources(root: Path, linked: tuple[str, ...]) -> Iterator[Path]:
    for folder in linked:
        yield from (root / folder).rglob("*.py")
    for path in (root / "upshot").rglob("*.py"):
        if path.relative_to(root).parts[1] not in linked:
            yield path


def _package(folder: Path, linked: tuple[str, ...]) -> str:
    return ".".join(("upshot", *folder.parts) if folder.parts[0] in linked else folder.parts)


def _folder(package: str, linked: tuple[str, ...]) -> str:
    parts = package.split(".")
    return "/".join(parts[1:] if len(parts) > 1 and parts[1] in linked else parts)

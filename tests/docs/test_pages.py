"""What the documentation says is true.

Examples are read, links lead somewhere, commands and settings exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import typer
from msgspec import Raw
from typer.core import TyperGroup

from upshot.cli.app import app
from upshot.processors.correlate.rules import decide
from upshot.processors.correlate.state import StoredMatch, StoredOutcome, StoredRule, StoredWait, Verdict
from upshot.schemas.waits import Mode
from upshot.settings import Settings
from upshot.streams.events.records import decode, decode_outcome, decode_score, decode_wait
from upshot.streams.events.topics import TOPICS

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "schemas", "streams", "processors", "insights", "upshot")
PAGES = sorted({*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))})
JULY = 1_782_864_000_000
COMMANDS = typer.main.get_command(app)
NOT_SETTINGS = {"UPSHOT_SUPERVISED"}


class Record(NamedTuple):
    """A record as the codec reads it."""

    topic: str
    value: bytes
    timestamp: int = JULY
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_of(text: str) -> Iterator[str]:
    """What stands as code: in blocks and within lines, continued lines joined."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for block in blocks:
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        page = path.parent / target if target else path
        assert page.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(page), f"{link}: there is no such heading"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def examples() -> list[tuple[str, str, str]]:
    """Page, topic and JSON of every block that is marked with its topic."""
    return [
        (name_of(path), topic, text)
        for path in PAGES
        for topic, text in re.findall(
            r"^```json ([\w-]+)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE
        )
    ]


@pytest.mark.parametrize(("page", "topic", "text"), examples())
def test_examples_are_read(page: str, topic: str, text: str) -> None:
    record = Record(topic, msgspec.json.encode(json.loads(text)))
    special = {"outcomes": decode_outcome, "waits": decode_wait, "scores": decode_score}
    event = special[topic](record) if topic in special else decode(TOPICS[topic].schema, record)
    unknown = set(json.loads(text)) - set(type(event).model_fields)
    assert not unknown


def test_there_are_examples() -> None:
    assert {page for page, *_ in examples()} >= {"README.md", "docs/concepts.md"}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_options_exist(path: Path) -> None:
    assert isinstance(COMMANDS, TyperGroup)
    for line in code_of(path.read_text()):
        for called in re.findall(r"(?:^|[|;(]\s*|\$ |bin/)upshot ((?!\[)[^|;)]*)", line):
            words = called.split()
            if not words or words[0].startswith("-") or words[0] == "…":
                continue
            assert words[0] in COMMANDS.commands, f"upshot {called}"
            command = COMMANDS.commands[words[0]]
            while isinstance(command, TyperGroup) and (words := words[1:]):
                assert words[0] in command.commands, f"upshot {called}"
                command = command.commands[words[0]]
            known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            options = {word.split("=")[0] for word in words if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
            assert options <= {*known, "--help"}, f"upshot {called}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for path in PAGES
        for line in code_of(path.read_text())
        for target in re.findall(r"^make (\w+)", line)
    }
    assert named and named <= targets


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_settings_exist(path: Path) -> None:
    named = set(re.findall(r"\bUPSHOT_[A-Z_]*[A-Z]\b", path.read_text()))
    assert named - NOT_SETTINGS <= {f"UPSHOT_{name.upper()}" for name in Settings.model_fields}


def modes() -> list[tuple[Mode, list[tuple[str, bool | float]], bool | float | None]]:
    """The rows of the table of modes: mode, outcomes as (type, value), and what they give."""
    text = (ROOT / "docs" / "concepts.md").read_text().split("\n## Modes\n")[1].split("\n## ")[0]
    rows = []
    for line in text.splitlines():
        if match := re.match(r"\| `(\w+)`.*?\|.*?\| (.+?) \| (.+?) \|$", line):
            said = [value.strip("` ").rpartition(": ") for value in match[2].split(",")]
            outcomes = [(kind or "a", json.loads(value)) for kind, _, value in said]
            gives = None if match[3] == "nothing yet" else json.loads(match[3].strip("`"))
            rows.append((match[1], outcomes, gives))
    return rows  # type: ignore[return-value]


def test_the_table_of_modes_is_what_the_rules_do() -> None:
    rows = modes()
    assert {mode for mode, *_ in rows} == {"first", "last", "all", "count", "sum"}
    for mode, outcomes, gives in rows:
        types = ("a", "b") if mode == "all" else ("a",)
        rule = StoredRule({kind: StoredMatch("data") for kind in types}, mode=mode)
        question = StoredWait("w", "r", "n", opened_at=0, since=0, deadline=100, rule_json=rule.json)
        known = [
            StoredOutcome(str(n), kind, n, n, 0, n, data_json=Raw(msgspec.json.encode(value)))
            for n, (kind, value) in enumerate(outcomes)
        ]
        found = decide(question, reversed(known), judged=False)
        assert (found.value if isinstance(found, Verdict) else None) == gives, mode

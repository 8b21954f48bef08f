"""The reference pages are what the code says, and nothing of the contract is missing in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.reference.pages import all_pages, stale, write
from upshot.schemas.dead_letters import MEANINGS, REASONS
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return all_pages()


def test_the_pages_are_up_to_date(pages: dict[str, str]) -> None:
    assert stale(pages, FOLDER) == [], "write them with  make docs"


def test_every_field_of_every_event_is_there(pages: dict[str, str]) -> None:
    for topic in TOPICS.values():
        section = pages["events.md"].split(f"\n## {topic.schema.__name__}\n")[1].split("\n## ")[0]
        for name, field in topic.schema.model_fields.items():
            assert f"| `{name}` |" in section
            assert field.description and field.description.split("`")[0].split("|")[0].strip() in section


def test_every_topic_setting_and_reason_is_there(pages: dict[str, str]) -> None:
    assert all(f"| `{name}` |" in pages["topics.md"] for name in TOPICS)
    assert all(f"| `UPSHOT_{name.upper()}` |" in pages["settings.md"] for name in Settings.model_fields)
    assert tuple(MEANINGS) == REASONS
    assert all(
        f"| `{reason}` | {text}" in pages["dead-letter-reasons.md"] for reason, text in MEANINGS.items()
    )


def test_every_column_of_every_view_has_a_meaning(pages: dict[str, str]) -> None:
    views, storage = pages["tables.md"].split("\n## Storage\n")
    for name in ("runs", "steps", "outcomes", "waits", "scores", "current_scores", "pending", "dead_letters"):
        assert f"\n## {name}\n" in views
        assert f"`raw_{name}`" in storage or name in ("current_scores", "pending")
    silent = [row for row in views.splitlines() if row.startswith("| `") and row.rstrip(" |").endswith("`")]
    assert not silent


def test_links_lead_to_files(pages: dict[str, str]) -> None:
    for text in pages.values():
        for part in text.split("](")[1:]:
            target, _, anchor = part.partition(")")[0].partition("#")
            assert not target or (FOLDER / target).exists(), target
            if anchor:
                assert f"# {anchor}\n" in (pages[target] if target else text).lower(), anchor


def test_stale_pages_are_found(tmp_path: Path) -> None:
    made = {"a.md": "one\n", "b.md": "two\n"}
    write(made, tmp_path)
    assert stale(made, tmp_path) == []
    (tmp_path / "a.md").write_text("other\n")
    (tmp_path / "b.md").unlink()
    (tmp_path / "c.md").write_text("left over\n")
    assert stale(made, tmp_path) == ["a.md", "b.md", "c.md"]
    write(made, tmp_path)
    assert stale(made, tmp_path) == []


def test_the_check_fails_where_pages_are_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.reference", "--check", str(tmp_path)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert checked.returncode == 1
    assert "events.md" in checked.stderr and "make docs" in checked.stderr

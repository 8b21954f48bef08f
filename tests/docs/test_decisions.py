"""The index of decisions lists every page under its number, its file and its title."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"


def test_the_index_has_a_row_for_each_page_with_the_title_of_the_page() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.M)
    pages = sorted(FOLDER.glob("[0-9]*.md"))
    assert [(number, file) for number, file, _ in rows] == [(page.name[:4], page.name) for page in pages]
    titles = [f"# {number}: {title}" for number, _, title in rows]
    assert titles == [page.read_text().splitlines()[0] for page in pages]


def test_a_superseded_page_names_a_page_of_a_higher_number() -> None:
    for page in sorted(FOLDER.glob("[0-9]*.md")):
        head = page.read_text().partition("\n## ")[0]
        if "Extended by" in head or "Superseded" in head:
            assert any(number > page.name[:4] for number in re.findall(r"\]\((\d{4})-", head)), page.name

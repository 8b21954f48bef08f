"""All pages, written to a folder or compared with it."""

from __future__ import annotations

from pathlib import Path

import upshot.schemas
from tools.reference.dead_letters import reasons_page
from tools.reference.events import events_page
from tools.reference.metrics import metrics_page
from tools.reference.settings import settings_page
from tools.reference.tables import tables_page
from tools.reference.topics import topics_page


def all_pages() -> dict[str, str]:
    """Every page by its file name."""
    examples = Path(upshot.schemas.__file__).parent / "examples"
    return {
        "dead-letter-reasons.md": reasons_page(examples),
        "events.md": events_page(examples),
        "metrics.md": metrics_page(),
        "settings.md": settings_page(),
        "tables.md": tables_page(),
        "topics.md": topics_page(),
    }


def write(pages: dict[str, str], folder: Path, pattern: str = "*.md") -> None:
    """Write the pages; remove pages no longer made."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(pattern):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def stale(pages: dict[str, str], folder: Path, pattern: str = "*.md") -> list[str]:
    """The pages missing, differing or no longer made."""
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(pattern)}
    return sorted(name for name in {*pages, *found} if pages.get(name) != found.get(name))


__all__ = ["all_pages", "stale", "write"]

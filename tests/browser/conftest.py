"""Debian's Chromium, driven by playwright; tests are left out, with the reason, where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.story import HOSTILE, RUNS, play
from tests.upshot_process import WholeStack, start, whole_stack

#: Collects every breach of the content security policy, and every error.
_WATCH = """
window.breaches = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.breaches.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for the whole folder: while it is open, no other event loop can run in this thread."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of its own; fails where the page broke its policy or raised an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    tab = context.new_page()
    tab.add_init_script(_WATCH)
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert errors == []


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[WholeStack]:
    """A stack of its own: pages are first seen empty, then with the story."""
    running = start(tmp_path_factory.mktemp("pages"), "up")
    try:
        yield whole_stack(running)
    finally:
        assert running.interrupt() == 0, running.metadata.read_text()


@pytest.fixture(scope="package")
def full(site: WholeStack) -> WholeStack:
    """The stack with the story, stored and scored."""
    play(site.ports["web"])
    runs, merged = str(RUNS + len(HOSTILE)), str(RUNS - RUNS // 4)
    wanted = [{"runs": runs, "rows": runs, "scored": merged, "merged": merged}]
    site.eventually(
        "SELECT toString((SELECT count() FROM runs)) AS runs, "
        "toString((SELECT count() FROM scored_runs)) AS rows, "
        "toString((SELECT count() FROM score_rows WHERE name = 'merged')) AS scored, "
        "toString((SELECT count() FROM current_scores WHERE name = 'merged')) AS merged",
        wanted,
    )
    return site

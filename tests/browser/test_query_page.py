"""The SQL page in a real Chromium: written, run, watched, cancelled, saved."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.seeing import address, faults, fetched_json, see
from tests.upshot_process import LOOK, WholeStack
from upshot.insights.reader import Reader

pytestmark = pytest.mark.stack
SLOW = "SELECT sum(sleepEachRow(0.05)) AS {mark} FROM numbers(10000) SETTINGS max_block_size = 4"
#: Seconds for what would otherwise go on until the query's limit.
SOON = 40.0


def test_sql_is_completed_and_runs_from_the_keyboard(full: WholeStack, page: Page) -> None:
    see(page, full, "/insights")
    editor = page.locator(".editor[data-ready]").locator(".cm-content")
    editor.click()
    page.keyboard.type("SELECT count() AS n FROM current_sc")
    page.locator(".cm-tooltip-autocomplete [aria-selected]").wait_for()
    page.wait_for_timeout(200)  # the editor takes no completion in the first 75 ms of a list
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**run=1**")
    assert "current_scores" in page.url
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate("window.breaches") == []


def test_a_link_from_elsewhere_fills_the_editor_and_runs_nothing(full: WholeStack, page: Page) -> None:
    sql = quote("SELECT 1 AS one")
    page.set_content(f'<a href="{address(full, f"/insights?sql={sql}&run=1")}">look</a>')
    page.get_by_role("link").click()
    page.wait_for_url("**/insights**")
    assert page.get_by_text("came with the address").is_visible()
    assert page.locator("tbody").count() == 0
    page.get_by_role("button", name="Run").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def running(stack: WholeStack, mark: str) -> int:
    """How many queries with this mark run in ClickHouse."""
    others = "query NOT LIKE '%system.processes%'"
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{mark}%' AND {others}"
    return int(Reader(stack.settings).query(sql).rows[0][0])


def eventually(stack: WholeStack, mark: str, count: int) -> None:
    deadline = time.monotonic() + SOON
    while running(stack, mark) != count:
        assert time.monotonic() < deadline
        time.sleep(LOOK)


#: While a page is being loaded, playwright waits for its end: the page itself presses the button.
CANCEL_ONCE_ROWS_ARE_READ = """
const progress = document.getElementById("progress");
new MutationObserver(() => {
  if (!/of [0-9,]+ rows read/.test(progress.textContent) || window.seen) return;
  window.seen = progress.textContent;
  document.getElementById("cancel").click();
}).observe(progress, { childList: true, characterData: true, subtree: true });
"""


def test_a_running_query_shows_its_progress_and_is_cancelled(full: WholeStack, page: Page) -> None:
    see(page, full, f"/insights?sql={quote(SLOW.format(mark='slow_one'))}")
    page.evaluate(CANCEL_ONCE_ROWS_ARE_READ)
    page.get_by_role("button", name="Run").click(no_wait_after=True)
    expect(page.locator("#progress")).to_have_text("cancelled", timeout=1000 * SOON)
    assert page.evaluate("window.seen").startswith(tuple("123456789"))
    eventually(full, "slow_one", 0)
    assert "ticket" not in page.url and page.evaluate("window.breaches") == []


def test_a_closed_page_ends_its_query(full: WholeStack, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(full, f"/insights?sql={quote(SLOW.format(mark='slow_two'))}"))
    page.get_by_role("button", name="Run").click(no_wait_after=True)
    eventually(full, "slow_two", 1)
    context.close()
    eventually(full, "slow_two", 0)


def test_a_query_is_saved_opened_replaced_and_deleted(full: WholeStack, browser: Browser) -> None:
    sql = "SELECT agent, count() AS n FROM current_scores WHERE name = {name:String} GROUP BY agent"
    page = browser.new_page()
    page.goto(address(full, f"/insights?sql={quote(sql)}&p.name=merged&run=1&x=agent&y=n"))
    page.get_by_role("button", name="Run").click()

    def save(name: str) -> None:
        page.get_by_text("Save this query").click()
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("The question it answers").fill("How many has each agent?")
        page.get_by_role("button", name="Save").click()

    save("by agent / all")
    page.wait_for_url("**/insights/saved/by%20agent%20%2F%20all")
    assert fetched_json(full, "/insights/saved/by%20agent%20%2F%20all.json?p.name=merged")["rows"]
    assert faults(page) == []
    page.goto(address(full, f"/insights?sql={quote(sql)}"))
    save("by agent / all")
    expect(page.get_by_text("replace it, or choose another name")).to_be_visible()
    page.goto(address(full, "/insights"))
    page.get_by_role("link", name="by agent / all").click()
    page.get_by_text("Delete this query").click()
    page.get_by_label("Why").fill("nobody asks")
    page.get_by_label("Delete by agent / all").check()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/insights")
    expect(page.get_by_text("None yet")).to_be_visible()
    log = (full.data_dir / "logs" / "web.log").read_text()
    assert "saved the query by agent / all: by" in log and "because nobody asks" in log
    page.close()

"""Opening pages as people do, and what must hold on each."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.upshot_process import WholeStack

_AXE = Axe()
#: The innermost elements that make a page wider than its window; what scrolls in a box of its own doesn't.
_TOO_WIDE = """
document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("main *, header *, footer *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth && !each.closest(".wide, pre, nav"))
    .map((each) => each.outerHTML.slice(0, 150)).slice(-5).concat(["a page too wide"])
"""


def address(stack: WholeStack, path: str) -> str:
    return f"http://127.0.0.1:{stack.ports['web']}{path}"


def see(page: Page, stack: WholeStack, path: str) -> None:
    """Open a page; it has a heading, breaks no policy and overflows nowhere."""
    page.goto(address(stack, path), wait_until="load")
    assert page.locator("h1").count() == 1, path
    assert page.evaluate("window.breaches") == [], path
    assert page.evaluate(_TOO_WIDE) == [], f"{path} overflows"


def faults(page: Page, *rules: str) -> list[str]:
    """What axe finds wrong, by some of its rules or by all."""
    options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
    found = _AXE.run(page, options=options).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


def fetched(
    stack: WholeStack, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The status and the body of an answer, whatever it is."""
    request = urllib.request.Request(address(stack, path), data, dict(headers or {}))
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def fetched_json(stack: WholeStack, path: str) -> Any:
    """The JSON of a page."""
    status, body = fetched(stack, path)
    assert status == 200, (path, body)
    return json.loads(body)


def all_at_once(work: Callable[[str], None], paths: Iterable[str]) -> None:
    """Do work for every path, several at a time."""
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, paths))


__all__ = ["address", "all_at_once", "faults", "fetched", "fetched_json", "see"]

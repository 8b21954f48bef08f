"""Reading all workers' metrics twice, so movement shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import sleep, time

from upshot.errors import Unavailable
from upshot.ops.doctor.finding import Finding
from upshot.ops.telemetry.scrape import Page, read_page
from upshot.processors.roles import ROLES

#: Seconds between the two looks, at least: rates over less say little.
_APART = 2.0


@dataclass(frozen=True)
class Worker:
    """A worker at two moments."""

    before: Page
    after: Page

    @property
    def role(self) -> str:
        """`correlate` or `store`."""
        return self.after.role

    @property
    def seconds(self) -> float:
        """Between the two looks."""
        return self.after.at - self.before.at

    def now(self, name: str) -> float:
        """A metric as of the second look, 0 where nothing was emitted."""
        return self.after.value(name) or 0.0

    def rate(self, name: str) -> float:
        """How fast a counter grows, each second.

        0 for a fallen counter, since the worker was started again.
        """
        if not self.seconds:
            return 0.0
        return max(0.0, self.now(name) - (self.before.value(name) or 0.0)) / self.seconds


@dataclass(frozen=True)
class Looked:
    """The workers found at the addresses, and why there was nothing at some."""

    workers: Sequence[Worker]
    silent: Sequence[str]


def local_pages(data_dir: Path) -> list[str]:
    """Where the workers of the stack in `data_dir` tell their metrics."""
    try:
        ports = json.loads((data_dir / "ports.json").read_text())
    except (OSError, ValueError):
        return []
    return [
        f"http://127.0.0.1:{port}/metrics"
        for part, port in ports.items()
        if part.partition("-")[0] in ROLES and port
    ]


def first_look(urls: Sequence[str]) -> list[Page | str]:
    """Each page, or why there's none."""
    with ThreadPoolExecutor(max(1, len(urls))) as side_by_side:
        return list(side_by_side.map(_page, urls))


def second_look(urls: Sequence[str], before: Sequence[Page | str]) -> Looked:
    """The same again, at least a few seconds later."""
    moments = [page.at for page in before if isinstance(page, Page)]
    if moments:
        sleep(max(0.0, max(moments) + _APART - time()))
    after = first_look(urls)
    pairs = list(zip(before, after, strict=True))
    workers = [Worker(b, a) for b, a in pairs if isinstance(b, Page) and isinstance(a, Page)]
    silent = [why for pair in pairs for why in pair if isinstance(why, str)]
    return Looked(workers, list(dict.fromkeys(silent)))


def pages_finding(looked: Looked, *, named: bool) -> Finding:
    """Whether the workers emit metrics. A local stack's workers do their work also without."""
    there = ", ".join(f"{worker.role} at {worker.after.url}" for worker in looked.workers)
    if not looked.silent:
        return Finding("metrics", "fine", there)
    found = "; ".join([*looked.silent, *([f"there are {there}"] if there else [])])
    to_do = "look into the worker's log for the line about metrics; is UPSHOT_METRICS_PORT set and free?"
    return Finding("metrics", "wrong" if named else "notice", found, to_do)


def _page(url: str) -> Page | str:
    try:
        return read_page(url)
    except Unavailable as error:
        return str(error)


__all__ = ["Looked", "Worker", "first_look", "local_pages", "pages_finding", "second_look"]

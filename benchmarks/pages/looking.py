"""Pages as a browser asks for them: seconds, CPU seconds of the servers, and bytes on the wire."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from os import sysconf
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

_LOOKS = 9
#: The status of a page whose rows are being read: a browser asks for it again at once.
_BEING_READ = 202
#: What results need of the data set's experiment, which no registry knows.
_OF_THE_DATA = "?control=control&decide=merged:rate:P14D"
_ASSET = re.compile(r"""(?:href|src)="(/(?:assets|static)/[^"]+\.(?:css|js))\"""")
_IMPORT = re.compile(r"""from "(\./[^"]+\.js)\"""")


class FetchedPage(NamedTuple):
    """A page, its seconds and its bytes on the wire. `is_whole`: it doesn't say that rows are being read."""

    body: bytes
    seconds: float
    size: int
    is_whole: bool


class Looked(NamedTuple):
    """Several looks at one page: seconds, CPU seconds of each look by process, bytes; and the first look.

    `first` has the seconds to the first answer, `whole` those until the page had all of its rows.
    """

    path: str
    first: float
    whole: float
    fastest: float
    middle: float
    cpu: Mapping[str, float]
    size: int

    @property
    def line(self) -> str:
        """The figures for people."""
        used = "".join(f"{1000 * each:10.0f}" for each in self.cpu.values())
        times = "".join(f"{1000 * each:9.0f}" for each in (self.first, self.whole, self.fastest, self.middle))
        return f"{self.path[:52]:52}{times}{used}{self.size:11,}"


def heading(names: Sequence[str]) -> str:
    """The heading of the lines."""
    return (
        f"{'page':52}{'first ms':>9}{'whole':>9}{'ms':>9}{'median':>9}"
        + "".join(f"{name[:9]:>10}" for name in names)
        + f"{'bytes':>11}"
    )


def page(base: str, path: str) -> FetchedPage:
    """One page. Raises for an error."""
    begun = time.perf_counter()
    request = urllib.request.Request(base + path, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        body = answer.read()
        seconds = time.perf_counter() - begun
        is_whole = answer.status != _BEING_READ
        is_packed = answer.headers.get("Content-Encoding") == "gzip"
    return FetchedPage(gzip.decompress(body) if is_packed else body, seconds, len(body), is_whole)


def look(base: str, path: str, processes: Mapping[str, int]) -> Looked:
    """Look several times, after a first time that counts on its own: later ones find counts to reuse."""
    begun = time.perf_counter()
    first = page(base, path)
    last = first
    while not last.is_whole:
        last = page(base, path)
    whole = time.perf_counter() - begun
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    looks = [page(base, path) for _ in range(_LOOKS)]
    used = {name: (cpu_seconds(pid) - before[name]) / _LOOKS for name, pid in processes.items()}
    times = [each.seconds for each in looks]
    return Looked(path, first.seconds, whole, min(times), median(times), used, looks[-1].size)


def first_paint(base: str, path: str) -> int:
    """Bytes of a page with the styles and scripts that the page names."""
    found = page(base, path)
    wanted = [base + each for each in _ASSET.findall(found.body.decode())]
    seen, total = set[str](), found.size
    while wanted:
        address = wanted.pop()
        if address in seen:
            continue
        seen.add(address)
        with urllib.request.urlopen(address) as answer:
            text = answer.read()
        total += len(text)
        if address.endswith(".js"):
            wanted += [urljoin(address, each) for each in _IMPORT.findall(text.decode())]
    return total


def all_pages(base: str) -> Iterator[str]:
    """A page of every kind, about things that the database has; these are looked up behind the lists."""
    yield from ["/", "/runs", "/waits", "/waits?state=overdue", "/scores", "/experiments", "/alerts",
                "/alerts/rules", "/alerts/receivers", "/insights", "/dead-letters", "/system"]  # fmt: skip
    for list_, key, name in (
        ("/runs", "runs", "run_id"),
        ("/waits", "waits", "subject"),
        ("/scores", "scores", "name"),
        ("/experiments", "experiments", "experiment"),
    ):
        rows: list[dict[str, Any]] = json.loads(page(base, f"{list_}.json").body)[key]
        if rows:
            one = quote(str(rows[0][name]), safe="")
            question = "" if list_ != "/experiments" or rows[0]["status"] else _OF_THE_DATA
            yield f"/subjects/{one}" if list_ == "/waits" else f"{list_}/{one}{question}"
            yield from _filters(rows[0]) if list_ == "/runs" else []
            yield from [f"/experiments/{one}/units{question}"] if list_ == "/experiments" else []


def _filters(run: Mapping[str, Any]) -> list[str]:
    """The list of runs, narrowed by what one of them has."""
    found = [f"/runs?agent={quote(str(run['agent']))}&status=completed", f"/r?id={quote(str(run['run_id']))}"]
    return found + [f"/runs?score={quote(str(each['name']))}:>=0" for each in run["scores"][:1]]


def processes_below(root: int) -> dict[str, int]:
    """The web server and ClickHouse below `upshot up`."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    below, more = {root}, {root}
    while more:
        more = {int(pid) for pid, parent, _ in rows if int(parent) in more} - below
        below |= more
    own = [(int(pid), args) for pid, _, args in rows if int(pid) in below]
    marks = {"web": "-m upshot.web", "clickhouse": "clickhouse"}
    # A part's guard names the part's command, too, and its process is the guard's child: the younger one.
    return {name: max(pid for pid, args in own if mark in args) for name, mark in marks.items()}


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


__all__ = ["Looked", "all_pages", "cpu_seconds", "first_paint", "heading", "look", "page", "processes_below"]

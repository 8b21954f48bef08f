"""How large and how quick pages are: runs with many large steps, every page, first paints, live viewers.

    python -m benchmarks.pages [--runs 200000] [--data-dir F] [--steps 2000] [--viewers 100]

Starts `upshot up`; `--runs` fills its database before, with the data set of `benchmarks.insights`, and with
`--data-dir` the stack stays for the next time. Sends the runs with large steps, looks at each page nine times
as a browser does, and counts the bytes on the wire. Then so many viewers hold the stream of live news while
scores come at a rate. A line for each page: milliseconds of the first look to its first answer and to all of
its rows, then of the fastest and the median of the others; CPU milliseconds of the web server and of
ClickHouse for one of these; bytes. CPU times are steady on a shared machine, the others aren't. The last line
names what missed its goal, with exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.error import HTTPError

from benchmarks.insights.__main__ import prepare
from benchmarks.pages.looking import Looked, all_pages, first_paint, heading, look, processes_below
from benchmarks.pages.sending import large_run, steps_of, wait_for_steps
from benchmarks.pages.viewers import viewers
from upshot.local.clickhouse import ClickHouseServer
from upshot.settings import Settings

#: Seconds that the stack may take to start, and to end.
START, END = 240.0, 60.0
#: Seconds of the fastest look that a page may take; of pages that aren't named, and of every first look.
GOALS, GOAL = {"/": 0.3, "/runs": 0.2, "/runs/large": 0.5, "/runs/huge": 0.5}, 1.0
#: Bytes on the wire of a page, of a first paint; share of a core of all viewers.
WIRE, PAINT, SHARE = 2_000_000, 100_000, 0.2
#: Characters of a step's output in the run with the most steps.
_SMALL = 2_000

say = partial(print, flush=True)


def started(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the stack's pages, once all of it is up."""
    give_up = time.monotonic() + START
    while not (folder / "ports.json").exists():
        if process.poll() is not None or time.monotonic() > give_up:
            raise SystemExit("the stack did not start")
        time.sleep(0.2)
    return f"http://127.0.0.1:{json.loads((folder / 'ports.json').read_text())['web']}"


def filled(folder: Path, runs: int) -> None:
    """Fill the stack's database before the stack starts; a database that has so many runs stays."""
    server = ClickHouseServer(folder)
    server.start()
    try:
        server.wait_ready(120)
        prepare(server, Settings.model_validate({"clickhouse_url": server.url}), runs)
    finally:
        server.stop()


def measure(base: str, processes: Mapping[str, int], wanted: argparse.Namespace) -> list[str]:
    """Print all figures; the names of those that missed their goal."""
    sizes = {"large": (wanted.steps, wanted.payload), "huge": (wanted.most_steps, _SMALL)}
    for run_id, (steps, payload) in sizes.items():
        if steps_of(base, run_id) < steps:
            large_run(base, run_id, steps, payload)
            wait_for_steps(base, run_id, steps)
    say(heading(list(processes)))
    missed: list[str] = []
    of_steps = ("/runs/large", "/runs/large?step=s7", "/runs/huge", "/runs/huge?from=49500")
    for path in chain(all_pages(base), of_steps):
        try:
            found = look(base, path, processes)
        except HTTPError as error:
            say(f"{path[:52]:52} {error.code} {error.reason}")
            missed.append(f"{path} ({error.code})")
            continue
        say(found.line)
        missed += _missed(found)
    for path in ("/", "/runs", "/runs/large", "/experiments"):
        size = first_paint(base, path)
        say(f"first paint of {path}: {size:,} bytes with styles and scripts")
        missed += [f"first paint of {path}"] if size > PAINT else []
    share, got = asyncio.run(viewers(base, wanted.viewers, wanted.seconds, wanted.rate, processes["web"]))
    say(
        f"{wanted.viewers} viewers, {wanted.rate:g} scores a second: {share:.2f} of a core, "
        f"{got / wanted.viewers / wanted.seconds:.2f} pieces of news a second for each"
    )
    return missed + (["viewers"] if share > SHARE else [])


def _missed(found: Looked) -> list[str]:
    goal = GOALS.get(found.path, 0.2 if found.path.startswith("/runs/") else GOAL)
    goal = GOALS["/runs/large"] if found.path.startswith(("/runs/large", "/runs/huge")) else goal
    late = [f"{found.path} ({1000 * found.fastest:.0f} ms)"] if found.fastest > goal else []
    late += [f"first {found.path} ({1000 * found.first:.0f} ms)"] if found.first > GOAL else []
    return late + ([f"{found.path} ({found.size:,} bytes)"] if found.size > WIRE else [])


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages")
    parser.add_argument("--runs", type=int, default=0, help="runs in the database before")
    parser.add_argument("--data-dir", type=Path, help="a stack's folder, which stays")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--payload", type=int, default=950_000)
    parser.add_argument("--most-steps", type=int, default=50_000, help="steps of the run with small payloads")
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=10.0)
    wanted = parser.parse_args()
    # A shell starts what it runs in the background deaf to Ctrl-C, and so would be the stack.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="upshot-pages-") as place:
        folder = (wanted.data_dir or Path(place)).resolve()
        if wanted.runs:
            filled(folder, wanted.runs)
        ports = ["--kafka-port", "0", "--clickhouse-port", "0", "--web-port", "0"]
        command = [sys.executable, "-m", "upshot.cli", "up", "--data-dir", str(folder), *ports]
        (folder / "ports.json").unlink(missing_ok=True)
        stack = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            base = started(folder, stack)
            missed = measure(base, processes_below(stack.pid), wanted)
        finally:
            stack.send_signal(signal.SIGINT)
            stack.wait(END)
    say(f"missed: {', '.join(missed)}" if missed else "all goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

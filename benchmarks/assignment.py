"""Microseconds of CPU time of one assignment, the best of five rounds: `python benchmarks/assignment.py`."""

from __future__ import annotations

import tempfile
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import thread_time

from upshot import App
from upshot.experiments.assignment import Assigner
from upshot.experiments.definition import declared
from upshot.settings import Settings
from upshot.testing import capture

ROUNDS, CALLS = 5, 20_000


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, timer=thread_time, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def main() -> None:
    two = {"plain": 1.0, "warm": 1.0}
    ten = {f"arm {number}": 1.0 for number in range(10)}
    for name, weights in (("2 arms", two), ("10 arms", ten)):
        assigner = Assigner(declared("tone", weights, control=next(iter(weights)), unit="user"))
        decide = partial(assigner.assign, "user-5512", {})
        print(f"decision, {name}: {microseconds(decide):.1f} µs")
    with tempfile.TemporaryDirectory() as folder:
        app = App("bench", settings=Settings(data_dir=Path(folder)))
        tone = app.experiment("tone", two, control="plain", unit="user")
        with capture(app):
            print(f"peek: {microseconds(lambda: tone.peek('user-5512')):.1f} µs")
            with app.run():
                print(f"choose, again in one run: {microseconds(lambda: tone.choose('user-5512')):.1f} µs")
                units = iter(range(ROUNDS * CALLS))
                print(f"choose with its exposure: {microseconds(lambda: tone.choose(next(units))):.1f} µs")


if __name__ == "__main__":
    main()

"""How soon a standby replaces a lost worker."""

from __future__ import annotations

import re
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from probing import Steady, Tail, latencies, told
from worker import Worker

from upshot.settings import Settings

#: Seconds of load after the loss.
AFTER = 20
PATIENCE = 900.0

Event = tuple[bytes, bytes, bytes]


def take_over(
    settings: Settings, folder: Path, rate: float, event: Callable[[], Event], say: Callable[[str], None]
) -> None:
    """Two workers with their own disks, each the other's standby; the first is killed during outcomes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"UPSHOT_STANDBY_REPLICAS": "1"}
    first = Worker(settings, folder, "first", common)
    second = Worker(
        settings.model_copy(update={"tables_dir": folder / "second"}),
        folder,
        "second",
        common | {"UPSHOT_TABLES_DIR": str(folder / "second"), "UPSHOT_METRICS_PORT": str(port)},
    )
    try:
        first.start()
        began = time.monotonic()
        second.launch()
        _wait_until(
            lambda: first.partitions() + second.partitions() == settings.partitions == 2 * second.partitions()
        )
        shared = time.monotonic() - began
        _wait_until(lambda: _behind(port) == 0)
        say(
            f"a second worker with an empty disk: half of the partitions after {shared:.1f} s, during which "
            f"the first went on; a copy of the other half after {time.monotonic() - began:.1f} s"
        )
        before = _answered(settings, rate, event, lambda: None)
        after = _answered(settings, rate, event, first.kill)
        say(f"outcome to score with both, {rate:.0f}/s: {told(before)}")
        say(
            f"the first is killed (-9) for good: its standby answers {after[-1]:.1f} s later (session "
            f"timeout {settings.session_timeout:.0f} s); {second.recovered()}"
        )
    finally:
        first.stop()
        second.stop()


def _answered(
    settings: Settings, rate: float, event: Callable[[], Event], at_start: Callable[[], None]
) -> list[float]:
    partitions = settings.partitions
    tail = Tail(settings.kafka_url, settings.topic("scores"), partitions)
    steady = Steady(settings.kafka_url, settings.topic("outcomes"), partitions)
    at_start()
    steady.send(range(int(AFTER * rate)), rate, lambda _: event())
    found = latencies(steady.sent, tail)
    tail.close()
    return found


def _behind(port: int) -> int | None:
    """How far the copies are behind, by the worker's metrics; None before the first metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        found = re.findall(r"^upshot_standby_lag\S* (\S+)$", page.read().decode(), re.MULTILINE)
    return int(sum(map(float, found))) if found else None


def _wait_until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > give_up:
            raise SystemExit(f"not within {PATIENCE:.0f} s")
        time.sleep(0.1)


__all__ = ["take_over"]

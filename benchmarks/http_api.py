"""What an event costs over HTTP, beside sending it to Kafka directly.

    python benchmarks/http_api.py [--events 20000]

The same outcomes go to the same broker three ways: one by one over HTTP, a hundred and a thousand to a
request, and by the producer that the HTTP API itself uses. All are acknowledged by all replicas. Sixteen
requests are under way at a time. Of each: events a second, and CPU microseconds per event of the process that
sends to Kafka (the web server, or the producer's own).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from benchmarks.broker import broker_with_topics
from upshot.local.ports import choose_ports, listens
from upshot.local.process import ProcessPart
from upshot.local.roles import role_environment
from upshot.settings import Settings
from upshot.streams.kafka.producer import event_producer

_AT_A_TIME = 16
_TICKS = os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    """One way of sending: events a second, CPU microseconds per event."""

    rate: float
    cpu: float


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000, help="events of each way (default 20,000)")
    events = [_event(number) for number in range(parser.parse_args().events)]
    with broker_with_topics() as (settings, _):
        _measure_all(settings, events)


def _measure_all(settings: Settings, events: Sequence[bytes]) -> None:
    port = choose_ports(settings.data_dir / "web-ports.json", {"web": 0})["web"]
    command = [sys.executable, "-P", "-m", "upshot.web", "--port", str(port)]
    web = ProcessPart(
        "web", command, settings.data_dir, role_environment(settings), lambda: listens(port), port=port
    )
    web.start()
    try:
        web.wait_ready(60)
        asyncio.run(_by_http(port, web.pid, events[:500], 1))
        peer = asyncio.run(_directly(settings, events))
        print(f"directly: {peer.rate:,.0f}/s, {peer.cpu:.0f} us CPU per event")
        for size in (1, 100, 1000):
            found = asyncio.run(_by_http(port, web.pid, events, size))
            ratio = f"{found.cpu / peer.cpu:.1f} times the CPU of sending directly"
            print(
                f"HTTP, {size} to a request: {found.rate:,.0f}/s, {found.cpu:.0f} us CPU per event; {ratio}"
            )
    finally:
        web.stop()


def _event(number: int) -> bytes:
    data = {"merged": number % 2 == 0, "note": "x" * 120}
    return msgspec.json.encode(
        {"type": "pr.closed", "subject": f"pr:acme/web#{number}", "id": f"e{number}", "data": data}
    )


async def _directly(settings: Settings, events: Sequence[bytes]) -> Measured:
    async with event_producer(settings) as producer:

        async def send() -> None:
            for start in range(0, len(events), 1000):
                part = events[start : start + 1000]
                await asyncio.gather(
                    *[await producer.send("outcomes", event, key=str(n)) for n, event in enumerate(part)]
                )

        return await _timed(send, len(events), time.process_time)


async def _by_http(port: int, pid: int, events: Sequence[bytes], size: int) -> Measured:
    bodies = iter([b"[" + b",".join(events[n : n + size]) + b"]" for n in range(0, len(events), size)])
    url = f"http://127.0.0.1:{port}/v1/outcomes"
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def work() -> None:
            for body in bodies:
                async with session.post(url, data=body) as response:
                    assert response.status == 202, await response.text()

        async def send() -> None:
            await asyncio.gather(*(work() for _ in range(_AT_A_TIME)))

        return await _timed(send, len(events), lambda: _cpu_of(pid))


async def _timed(send: Callable[[], Awaitable[None]], count: int, cpu: Callable[[], float]) -> Measured:
    began, used = time.perf_counter(), cpu()
    await send()
    return Measured(count / (time.perf_counter() - began), (cpu() - used) / count * 1e6)


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    main()

"""Many viewers of live pages: what their streams cost the web server."""

from __future__ import annotations

import asyncio
import time

import aiohttp

from benchmarks.pages.looking import cpu_seconds

#: Seconds in which all streams are opened.
_OPENED = 5


async def viewers(base: str, count: int, seconds: float, rate: float, pid: int) -> tuple[float, int]:
    """The web server's share of a core under so many streams, and the pieces of news that they got."""
    got = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def view() -> None:
            nonlocal got
            async with session.get(f"{base}/live", timeout=aiohttp.ClientTimeout(total=None)) as answer:
                async for line in answer.content:
                    got += line.startswith(b"data:")

        async def send() -> None:
            # To the topic by the HTTP API of the same server: its CPU counts as well.
            number = 0
            while True:
                event = {"run_id": f"live-{number}", "name": "judge", "value": 0.5, "source": "bench"}
                async with session.post(f"{base}/v1/scores", json=event) as answer:
                    answer.raise_for_status()
                number += 1
                await asyncio.sleep(1 / rate)

        tasks = [asyncio.create_task(view()) for _ in range(count)]
        tasks.append(asyncio.create_task(send()))
        await asyncio.sleep(_OPENED)
        got, before, begun = 0, cpu_seconds(pid), time.perf_counter()
        await asyncio.sleep(seconds)
        share = (cpu_seconds(pid) - before) / (time.perf_counter() - begun)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return share, got


__all__ = ["viewers"]

"""Watches whether scores keep coming: the newest that ClickHouse shows, looked at twice a second."""

from __future__ import annotations

import asyncio
import http.client
import time
from base64 import b64encode
from contextlib import suppress

from upshot.settings import Settings

_LOOK = 0.5
_ANSWER_WITHIN = 2.0
_NEWEST = "SELECT toUnixTimestamp64Micro(max(recorded_at)) FROM raw_scores"


class Progress:
    """`longest` is the longest time in seconds in which no newer score showed up; `age` the newest one's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._newest = 0.0
        self._advanced_at = time.monotonic()
        self._advanced = asyncio.Event()
        self.longest = 0.0

    @property
    def age(self) -> float:
        """Seconds since the newest stored score was written to Kafka."""
        return time.time() - self._newest

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            newest = await asyncio.to_thread(self._look)
            now = time.monotonic()
            self.longest = max(self.longest, now - self._advanced_at)
            if newest > self._newest:
                self._newest, self._advanced_at = newest, now
                self._advanced.set()
            await asyncio.sleep(_LOOK)

    async def flows(self, within: float) -> bool:
        """Wait until a newer score shows up; whether one does in so many seconds."""
        self._advanced.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._advanced.wait(), within)
        return self._advanced.is_set()

    def _look(self) -> float:
        """The newest score's time in Kafka, in seconds since 1970; 0 where ClickHouse doesn't tell."""
        address = self._settings.clickhouse
        connection = http.client.HTTPConnection(address.host, address.port, timeout=_ANSWER_WITHIN)
        login = b64encode(f"{address.user}:{address.password}".encode()).decode()
        try:
            path = f"/?database={address.database}"
            connection.request("POST", path, _NEWEST, {"Authorization": f"Basic {login}"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace").strip()
            return int(text) / 1_000_000 if response.status == http.client.OK else 0.0
        except (OSError, http.client.HTTPException):
            return 0.0
        finally:
            connection.close()


__all__ = ["Progress"]

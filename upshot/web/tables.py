"""Reading ClickHouse for the page: over HTTP, read-only, with a limit on time."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import aiohttp

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.settings import Settings

#: Seconds that a query may take: the page would rather say that it's slow than wait.
_LONGEST = 10

Row = dict[str, Any]


class Tables:
    """A reader for the length of an `async with`."""

    def __init__(self, settings: Settings) -> None:
        address = settings.clickhouse
        self._place = f"{address.host}:{address.port}"
        self._url = f"{'https' if address.secure else 'http'}://{self._place}/"
        self._headers = {
            "X-ClickHouse-User": address.user,
            "X-ClickHouse-Key": address.password,
            "X-ClickHouse-Database": address.database,
        }
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=_LONGEST + 2, connect=3)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def rows(self, sql: str) -> list[Row]:
        """The rows of a query. Raises ClickHouseUnavailable or QueryFailed."""
        assert self._session is not None, "use it in an `async with`"
        parameters = {
            "readonly": "1",
            "default_format": "JSON",
            "max_execution_time": str(_LONGEST),
            "output_format_json_quote_64bit_integers": "0",
        }
        try:
            async with self._session.post(self._url, params=parameters, data=sql.encode()) as response:
                if response.status == 200:
                    content: dict[str, list[Row]] = await response.json(content_type=None)
                    return content["data"]
                said = (await response.text(errors="replace")).strip().partition("\n")[0][:300]
        except (aiohttp.ClientError, TimeoutError) as error:
            what = str(error) or "no answer in time"
            raise ClickHouseUnavailable(f"ClickHouse doesn't answer at {self._place}: {what}") from None
        if response.status in (401, 403, 516):
            raise ClickHouseUnavailable(f"ClickHouse at {self._place} refuses the user: {said}")
        raise QueryFailed(f"ClickHouse refuses a query: {said}")


__all__ = ["Row", "Tables"]

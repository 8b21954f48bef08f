"""The header Expect: aiohttp repeats an unknown value in its answer, and fails where the value is no text."""

from __future__ import annotations

from aiohttp import web, web_urldispatcher
from aiohttp.http import HttpVersion11

_default = web_urldispatcher._default_expect_handler


async def expected(request: web.Request) -> None:
    """Go on with `100-continue`; refuse any other expectation with 417, without repeating its text."""
    if request.version == HttpVersion11 and request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="the only expectation that can be met is 100-continue\n")
    await _default(request)


def refuse_odd_expectations() -> None:
    """Have every later added route, and every path without a route, call `expected`.

    Routes take a handler of their own, but aiohttp answers an unknown path with the default handler.
    """
    web_urldispatcher._default_expect_handler = expected


__all__ = ["expected", "refuse_odd_expectations"]

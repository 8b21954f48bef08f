"""What every request passes: who it is, how many are inside, how large it is, how long it may take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from upshot.door.access import Access
from upshot.door.answers import Problem, again_in, as_problem
from upshot.errors import InvalidEvent, KafkaUnavailable

#: Bytes of a body, after unpacking.
MAX_BODY = 8 * 1024 * 1024
#: Requests at a time: with `MAX_BODY` this bounds the memory.
MAX_INSIDE = 32
#: Seconds that a sender may take for its body.
BODY_WITHIN = 30.0

#: Bodies larger than this are read and checked beside the event loop.
_LARGE = 64 * 1024

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


class Gate:
    """Wraps handlers; what they raise is answered in the form that `render` gives it."""

    def __init__(self, access: Access, inside: int = MAX_INSIDE) -> None:
        self._access = access
        self._free = inside

    def __call__(
        self,
        handler: Handler,
        *,
        needs_key: bool = True,
        render: Callable[[web.Request, Problem], web.Response] | None = None,
    ) -> Handler:
        """`handler`, guarded. Without `needs_key` the request itself must prove who sends it."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return await self._pass(request, handler, needs_key)
            except Problem as problem:
                return render(request, problem) if render else as_problem(problem)

        return guarded

    async def _pass(self, request: web.Request, handler: Handler, needs_key: bool) -> web.StreamResponse:
        refusal = self._access.refusal(request.headers, request.remote) if needs_key else None
        if refusal:
            raise Problem(401, refusal, headers={"WWW-Authenticate": "Bearer"})
        if self._free <= 0:
            raise Problem(503, "too many requests at once: send this one again", headers=again_in(1))
        self._free -= 1
        try:
            return await handler(request)
        except InvalidEvent as error:
            raise Problem(400, f"{error.detail}; nothing was taken", reason=error.reason) from None
        except KafkaUnavailable as error:
            log.warning("a request is sent away: %s", error)
            raise Problem(503, str(error), headers=again_in(5)) from None
        finally:
            self._free += 1


async def body_of(request: web.Request) -> bytes:
    """The whole body, unpacked. Raises Problem where it is too large, too slow or can't be unpacked."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise Problem(408, f"the body did not come within {BODY_WITHIN:g} s; nothing was taken") from None
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, f"more than {MAX_BODY} bytes; nothing was taken: send less at a time") from None
    except web.RequestPayloadError as error:
        raise Problem(400, f"the body can't be read: {error}; nothing was taken") from None


async def large_beside(body: bytes, work: Callable[[], T]) -> T:
    """What `work` gives; long work doesn't keep the others waiting."""
    return await asyncio.to_thread(work) if len(body) > _LARGE else work()


__all__ = ["BODY_WITHIN", "MAX_BODY", "MAX_INSIDE", "Gate", "Handler", "body_of", "large_beside"]

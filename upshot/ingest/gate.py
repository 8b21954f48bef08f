"""The checks of every request: sender, body, signature, and only then one of the places inside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from aiohttp import web

from upshot.errors import InvalidEvent, KafkaUnavailable
from upshot.ingest.access import Access
from upshot.ingest.answers import Problem, again_in, as_problem
from upshot.ingest.bodies import Bodies

#: Requests worked on at a time.
MAX_INSIDE = 32
#: Seconds for which a complete request waits for a place.
PLACE_WITHIN = 5.0
#: Bodies larger than this are read and checked beside the event loop.
_LARGE = 64 * 1024
#: Two at a time: more would not be sooner done, and hold more memory.
_beside = ThreadPoolExecutor(2, thread_name_prefix="upshot-http")

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Gets the request and its body.
BodyHandler = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
#: Raises Problem for a refused request.
Check = Callable[[web.Request], None]
BodyCheck = Callable[[web.Request, bytes], None]
Render = Callable[[web.Request, Problem], web.Response]

log = logging.getLogger(__name__)


class Gate:
    """Wraps handlers; their errors are answered in the form given by `render`.

    No request takes a place before the proof of its sender and the arrival of its whole body.
    """

    def __init__(self, access: Access, inside: int = MAX_INSIDE, bodies: Bodies | None = None) -> None:
        self._access = access
        self._places = asyncio.Semaphore(inside)
        self._bodies = bodies or Bodies()

    def __call__(self, handler: BodyHandler, *, render: Render | None = None) -> Handler:
        """`handler`, for clients with a key."""
        return self.open(handler, admit=self._check_key, render=render)

    def open(
        self,
        handler: BodyHandler,
        *,
        admit: Check,
        verify: BodyCheck | None = None,
        render: Render | None = None,
    ) -> Handler:
        """`handler`, for requests with their own proof of the sender: `admit` and `verify` raise Problem."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                admit(request)
                body = await self._bodies.read(request)
                try:
                    if verify is not None:
                        await large_beside(body.value, partial(verify, request, body.value))
                    return await self._in_place(request, handler, body.value)
                finally:
                    body.release()
            except Problem as problem:
                return render(request, problem) if render else as_problem(problem)

        return guarded

    def _check_key(self, request: web.Request) -> None:
        if refusal := self._access.refusal(request.headers, request.remote):
            raise Problem(401, refusal, headers={"WWW-Authenticate": "Bearer"})

    async def _in_place(self, request: web.Request, handler: BodyHandler, body: bytes) -> web.StreamResponse:
        if self._places.locked():
            try:
                async with asyncio.timeout(PLACE_WITHIN):
                    await self._places.acquire()
            except TimeoutError:
                raise Problem(
                    503, "too many requests at once: send this one again", headers=again_in(1)
                ) from None
        else:
            await self._places.acquire()
        try:
            return await _answered(request, handler, body)
        finally:
            self._places.release()


async def _answered(request: web.Request, handler: BodyHandler, body: bytes) -> web.StreamResponse:
    try:
        return await handler(request, body)
    except InvalidEvent as error:
        status = 413 if error.reason == "too_large" else 400
        raise Problem(status, f"{error.detail}; nothing was taken", reason=error.reason) from None
    except KafkaUnavailable as error:
        log.warning("a request is sent away: %s", error)
        raise Problem(503, str(error), headers=again_in(5)) from None


async def large_beside(body: bytes, work: Callable[[], T]) -> T:
    """The result of `work`; long work doesn't keep the others waiting."""
    if len(body) <= _LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_beside, work)


__all__ = ["MAX_INSIDE", "BodyCheck", "BodyHandler", "Check", "Gate", "Handler", "Render", "large_beside"]

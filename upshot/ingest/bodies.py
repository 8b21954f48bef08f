"""Bodies of requests in memory: limits for a body's size and time, for a peer's bytes and for all bytes."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from upshot.ingest.answers import Problem, again_in

#: Bytes of a body, after unpacking.
MAX_BODY = 8 * 1024 * 1024
#: Bytes of all bodies read and not answered yet, at a time, and of one peer's bodies.
MAX_HELD = 256 * 1024 * 1024
MAX_HELD_BY_PEER = MAX_HELD // 2
#: The same where nobody needs a key.
MAX_HELD_IN_PUBLIC = MAX_HELD // 2
MAX_HELD_IN_PUBLIC_BY_PEER = MAX_HELD // 4
#: What a request costs besides its bytes.
_EACH = 16 * 1024
#: Seconds for sending a body.
BODY_WITHIN = 30.0
_UNPACKED = ("", "identity", "gzip", "deflate")


class Bodies:
    """Reads bodies. A slow sender holds its few bytes, and nobody else waits."""

    def __init__(self, most: int = MAX_HELD, most_by_peer: int = MAX_HELD_BY_PEER) -> None:
        self._most = most
        self._most_by_peer = most_by_peer
        self._held = 0
        self._by_peer: Counter[str] = Counter()

    async def read(self, request: web.Request) -> Body:
        """The whole body, unpacked; the bytes count until released.

        Raises Problem where the body is too large, too slow or can't be unpacked, or too much is held
        already.
        """
        _check_announced(request)
        body = Body(self, request.remote or "")
        whole = False
        try:
            body.hold(_EACH)
            if request.content.is_eof():
                await body.fill(request)
            else:
                async with asyncio.timeout(BODY_WITHIN):
                    await body.fill(request)
            whole = True
        except TimeoutError:
            raise Problem(408, f"the body did not come within {BODY_WITHIN:g} s; nothing was taken") from None
        except web.RequestPayloadError as error:
            raise Problem(400, f"the body can't be read: {error}; nothing was taken") from None
        except ConnectionResetError:
            raise Problem(400, "the body never came to its end; nothing was taken") from None
        finally:
            if not whole:
                body.release()
        return body

    def hold(self, peer: str, size: int) -> None:
        """Count so many bytes more. Raises Problem where these are too many."""
        if self._held + size > self._most or self._by_peer[peer] + size > self._most_by_peer:
            raise Problem(503, "too many bytes at once: send this request again", headers=again_in(1))
        self._held += size
        self._by_peer[peer] += size

    def release(self, peer: str, size: int) -> None:
        """So many bytes are held no longer."""
        self._held -= size
        self._by_peer[peer] -= size
        if not self._by_peer[peer]:
            del self._by_peer[peer]


class Body:
    """The bytes of one request, and their count for the peer."""

    def __init__(self, bodies: Bodies, peer: str) -> None:
        self._bodies = bodies
        self._peer = peer
        self._size = 0
        self.value = b""

    def hold(self, size: int) -> None:
        """So many bytes more are held. Raises Problem."""
        self._bodies.hold(self._peer, size)
        self._size += size

    async def fill(self, request: web.Request) -> None:
        """Read to the end. Raises Problem where the body is too large."""
        found = bytearray()
        while chunk := await request.content.readany():
            if len(found) + len(chunk) > MAX_BODY:
                if "Content-Encoding" in request.headers:
                    # An open connection would mean reading the rest: a small body may unpack to gigabytes.
                    request.protocol.close()
                raise _too_large()
            self.hold(len(chunk))
            found += chunk
        self.value = bytes(found)

    def release(self) -> None:
        """Nothing is held any longer."""
        self._bodies.release(self._peer, self._size)
        self._size = 0
        self.value = b""


def _check_announced(request: web.Request) -> None:
    """Raises Problem for an unacceptable body, before the body comes."""
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    packed = [text.strip().lower() for text in request.headers.getall("Content-Encoding", [])]
    if len(packed) > 1 or any(text not in _UNPACKED for text in packed):
        raise Problem(
            415,
            "Content-Encoding may be gzip or deflate, once; nothing was taken",
            headers={"Accept-Encoding": "gzip"},
        )


def _too_large() -> Problem:
    return Problem(413, f"more than {MAX_BODY} bytes; nothing was taken: send less at a time")


__all__ = ["BODY_WITHIN", "MAX_BODY", "MAX_HELD_IN_PUBLIC", "MAX_HELD_IN_PUBLIC_BY_PEER", "Bodies", "Body"]

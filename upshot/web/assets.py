"""`/assets/<digest>/…`: style, scripts and vendored packages under a name that changes with their content."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from aiohttp import web

from upshot.ingest.answers import Problem
from upshot.web.urls import Url

STATIC = Path(__file__).with_name("static")
_FOR_EVER = "public, max-age=31536000, immutable"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".json": "application/json"}


def _read() -> dict[str, bytes]:
    return {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in sorted(STATIC.rglob("*"))
        if path.is_file()
    }


_FILES = _read()
#: Of all files together, since scripts import one another by relative names.
DIGEST = sha256(b"".join(name.encode() + b"\0" + text for name, text in _FILES.items())).hexdigest()[:16]


def asset(name: str) -> Url:
    """The address of a file; KeyError where there is none of that name."""
    _FILES[name]
    return Url(f"/assets/{DIGEST}/{name}")


async def serve_asset(request: web.Request) -> web.Response:
    """A file by its digest; a page of an earlier release gets the present file, uncached."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise Problem(404, "there is no such file; load the page again")
    kind = _TYPES.get(Path(name).suffix, "text/plain")
    caching = _FOR_EVER if request.match_info["digest"] == DIGEST else "no-cache"
    return web.Response(
        body=_FILES[name], content_type=kind, charset="utf-8", headers={"Cache-Control": caching}
    )


__all__ = ["DIGEST", "STATIC", "asset", "serve_asset"]

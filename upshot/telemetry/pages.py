"""Metrics are for programs: no web page reads them, whatever name it found for this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

_LOCAL = ("127.0.0.1", "localhost", "[::1]")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def without_pages(application: Application, host: str) -> Application:
    """The same WSGI application; browsers that ask for a page of elsewhere get 403.

    Where `host`, at which it listens, is this machine alone, so does who calls this machine by another name: that is
    how a page of elsewhere makes itself one of this machine.
    """

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not _is_of_page(environ, only_local=host in _LOCAL):
            return application(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"metrics are for programs, not for web pages\n"]

    return guarded


def _is_of_page(environ: dict[str, Any], *, only_local: bool) -> bool:
    if "HTTP_ORIGIN" in environ or environ.get("HTTP_SEC_FETCH_SITE") in ("cross-site", "same-site"):
        return True
    name = environ.get("HTTP_HOST", "127.0.0.1")
    return only_local and (name if name.endswith("]") else name.rpartition(":")[0] or name) not in _LOCAL


__all__ = ["without_pages"]

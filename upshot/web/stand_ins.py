"""What stands for a page that can't be shown, or not yet."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from upshot.ingest.answers import Problem
from upshot.web.rendering import Frame, render

#: Seconds after which a page that couldn't be shown is loaded again; a page whose rows are being read, whose
#: next answer waits for them.
AGAIN, _AT_ONCE = 5, 0
_TITLES = {
    400: "This can't be meant",
    401: "Sign in",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not this way",
    413: "Too large",
    422: "The query was refused",
    500: "A fault of ours",
    503: "Something is away",
}


def trouble_page(frame: Frame, problem: Problem) -> web.Response:
    """A problem as a page; a page that may come back is loaded again by itself."""
    frame = replace(frame, again=AGAIN if problem.status == 503 else None)
    text = render("trouble.html", frame, title=_TITLES.get(problem.status, "Not possible"), problem=problem)
    return web.Response(text=text, status=problem.status, content_type="text/html", headers=problem.headers)


def reading_page(frame: Frame, seconds: float) -> web.Response:
    """A page whose rows are being read, for so many seconds so far; it is loaded again by itself."""
    frame = replace(frame, again=_AT_ONCE)
    text = render("reading.html", frame, title="Being read", seconds=seconds)
    return web.Response(
        text=text, status=202, content_type="text/html", headers={"Retry-After": str(_AT_ONCE)}
    )


__all__ = ["AGAIN", "reading_page", "trouble_page"]

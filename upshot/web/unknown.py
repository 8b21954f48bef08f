"""Paths and methods without a handler: the answer names the known paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from aiohttp import web

from upshot.ingest.answers import Problem, as_problem
from upshot.streams.events.topics import TOPICS
from upshot.web.rendering import Frame
from upshot.web.stand_ins import trouble_page

#: Characters of an unknown path repeated in the answer.
_SHOWN = 100


def unknown(paths: Sequence[str]) -> Callable[[web.Request, Problem], web.Response]:
    """Answers 404 and 405 with the known paths."""

    def answered(request: web.Request, problem: Problem) -> web.Response:
        if problem.status == 405:
            detail = (
                f"{request.method[:20]} does nothing here: {request.path[:_SHOWN]} takes "
                f"{problem.headers['Allow']}"
            )
        else:
            detail = _nothing_at(request.path, paths)
        full = Problem(problem.status, detail, headers=problem.headers, paths=list(paths))
        if "text/html" in request.headers.get("Accept", "") and not request.path.startswith("/v1/"):
            return trouble_page(Frame(path=request.path), full)
        return as_problem(full)

    return answered


def _nothing_at(path: str, paths: Sequence[str]) -> str:
    topic = TOPICS.get(path.rstrip("/").rpartition("/")[2])
    if path.startswith("/v1/") and topic is not None and f"/v1/{topic.name}" not in paths:
        writers, readers = ", ".join(topic.producers), ", ".join(topic.consumers)
        return f"{topic.name} are not sent over HTTP: written by {writers}, read by {readers}"
    close = get_close_matches(path[:_SHOWN].rstrip("/").lower(), paths, 1, 0.75)
    hint = f"; did you mean {close[0]}?" if close else "; `paths` lists what there is"
    return f"there is nothing at {path[:_SHOWN]}{hint}"


def paths_of(app: web.Application) -> list[str]:
    """The paths served by an application."""
    found = {resource.canonical for resource in app.router.resources()}
    repeated = {f"{path}.json" for path in found} | {"/index.json"}
    return sorted(found - repeated)


__all__ = ["paths_of", "unknown"]

"""The answers of the HTTP API: problems in the form of RFC 9457, never a stack trace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web

from upshot.streams.events.checking import Refusal

#: Refused events named in an answer.
SHOWN = 100


class Problem(Exception):
    """A request answered with an error status: nothing of the request was taken, unless `detail` says so."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


def again_in(seconds: int) -> dict[str, str]:
    """The header with the seconds until a retry."""
    return {"Retry-After": str(seconds)}


def refused(refusals: Sequence[Refusal], count: int) -> Problem:
    """400: which of so many events are wrong, and why."""
    items = [{"where": r.where, "reason": r.reason, "detail": r.detail} for r in refusals[:SHOWN]]
    message = f"{len(refusals)} of {count} events are wrong; none was taken: mend them and send all again"
    return Problem(400, message, items=items, refused=len(refusals))


def as_problem(problem: Problem) -> web.Response:
    """The problem as JSON."""
    title = HTTPStatus(problem.status).phrase
    body = {"title": title, "status": problem.status, "detail": problem.detail, **problem.more}
    return answer(body, problem.status, "application/problem+json", problem.headers)


def answer(
    body: Mapping[str, Any],
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """JSON for a program."""
    text = json.dumps(body, ensure_ascii=False) + "\n"
    return web.Response(
        body=text.encode("utf-8", "replace"), status=status, content_type=content_type, headers=headers
    )


__all__ = ["SHOWN", "Problem", "again_in", "answer", "as_problem", "refused"]

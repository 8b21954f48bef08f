"""Every page's way: role, reading, one view as HTML, JSON or a stream of all rows; failures as sentences."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from time import monotonic, time
from typing import Any, NamedTuple, ParamSpec, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from upshot.errors import (
    ClickHouseUnavailable,
    ConfigurationError,
    KafkaUnavailable,
    QueryFailed,
    UpshotError,
)
from upshot.ingest.answers import Problem, as_problem
from upshot.insights.pages.query import PageQuery
from upshot.insights.reader import Format, QueryResult, Reader
from upshot.insights.stopping import QueryStop
from upshot.settings import Settings
from upshot.web.access import PageAccess, Role
from upshot.web.formats import Clock, zone_of
from upshot.web.parameters import Parameters
from upshot.web.remembered import COSTLY, Remembered
from upshot.web.rendering import Frame, render
from upshot.web.running import attended
from upshot.web.slow_views import PATIENCE, SlowViews
from upshot.web.stand_ins import AGAIN, reading_page, trouble_page
from upshot.web.urls import JSON, means_json, name_of
from upshot.web.views import View, json_text

P = ParamSpec("P")
T = TypeVar("T")

#: Formats of exports, with their media types.
EXPORTS: dict[str, tuple[Format, str]] = {
    "csv": ("csv", "text/csv"),
    "jsonl": ("jsonl", "application/x-ndjson"),
    "arrow": ("arrow", "application/vnd.apache.arrow.stream"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
}
_SHAPES = ("", "html", "json", *EXPORTS)
#: Seconds of one query of a page; of exports.
_LONGEST, _LONGEST_EXPORT = 15.0, 300.0
#: Queries at a time: more would only make each of them slower.
_AT_A_TIME = 6
_STORED_RUNS = PageQuery("SELECT count() AS runs FROM raw_scored_runs")
_PART = re.compile(r"\{(\w+)\}")
#: Bytes of a page that is compressed beside the event loop.
_LARGE = 65_536
_OUR_FAULT = (
    "this page has a fault of its own: the log of the web server tells where, please report the fault"
)
ZONE_COOKIE = "upshot_zone"
#: Parameters of the frame, not of the page.
_OF_THE_FRAME = ("zone", "format", "share", "share_until", "run", "changed", "ticket")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageRequest:
    """One request to a page, with the means to read."""

    request: web.Request
    site: Site
    query: Parameters
    frame: Frame
    #: Seconds since each of the counts was asked for.
    ages: list[float] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """The instant of the request."""
        return self.frame.clock.now

    @property
    def reader(self) -> Reader:
        """Reads ClickHouse; for functions that run by `read`."""
        return self.site.reader

    @property
    def means_json(self) -> bool:
        """Whether the path means the page's JSON."""
        return means_json(self.request.rel_url.raw_path)

    def part(self, name: str) -> str:
        """The name in a part of the path."""
        found = self.request.match_info
        resource = found.route.resource
        is_of_json = resource is not None and resource.canonical.endswith("}" + JSON)
        # The route of a page's JSON took the end of such a name for its own.
        is_cut = is_of_json and not self.means_json and name == list(found)[-1]
        return name_of(found[name] + JSON if is_cut else found[name])

    async def read(self, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        """The result of blocking work, beside the event loop."""
        return await self.site.beside(partial(work, *args, **more))

    async def rows(self, query: PageQuery) -> list[dict[str, Any]]:
        """All rows of a query."""
        return await self.read(query.rows, self.reader)

    async def counted(self, query: PageQuery) -> list[dict[str, Any]]:
        """All rows of a query over all that there is; those of a minute ago where many were read for them."""
        found = await self.site.remembered.answer(query)
        self.ages.append(monotonic() - found.asked_at)
        return found.answer


PageHandler = Callable[[PageRequest], Awaitable[View | web.StreamResponse]]


class SeenView(NamedTuple):
    """What a page answered, with the ages of its counts at an instant of the monotonic clock."""

    answer: View | web.StreamResponse
    ages: Sequence[float]
    at: float


class Site:
    """The pages of one server."""

    def __init__(self, settings: Settings, access: PageAccess, patience: float = PATIENCE) -> None:
        self.settings = settings
        self.access = access
        self.reader = Reader(settings, timeout=_LONGEST)
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="upshot-page")
        self._away_since: dict[str, datetime] = {}
        self.remembered = Remembered(self._ask)
        self._slow = SlowViews[SeenView](patience)
        self._has_many_runs = False

    def add_get(
        self,
        app: web.Application,
        path: str,
        page: PageHandler,
        role: Role = "viewer",
        *,
        reads_many: bool = False,
    ) -> None:
        """Serve a page, and the same with `.json` behind its path.

        `reads_many`: its rows may take long to read; people see that they are being read.
        """
        handler = self.page(page, role, reads_many=reads_many)
        app.router.add_get(f"{_any_name(path)}.json" if path != "/" else "/index.json", handler)
        app.router.add_get(_any_name(path), handler)

    def add_post(self, app: web.Application, path: str, page: PageHandler, role: Role = "operator") -> None:
        """Serve a form that changes something: its sender proves that the form came from a page of ours."""
        app.router.add_post(_any_name(path), self.page(page, role))

    def page(
        self, page: PageHandler, role: Role, *, own_form: bool = True, reads_many: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of a page. `own_form`: a form proves that it came from a page of this session."""

        async def handle(request: web.Request) -> web.StreamResponse:
            asked = self._request_of(request)
            wants_json = asked.means_json or request.query.get("format", "") == "json"
            try:
                self._check_role(asked, role)
                if request.method == "POST":
                    await _read_form(request)
                    if own_form:
                        await self._check_form(request)
                shape = asked.query.choice("format", _SHAPES, "")
                if reads_many and not shape and not wants_json and request.method == "GET":
                    answer = await self._soon(asked, page)
                else:
                    answer = await page(asked)
                if isinstance(answer, web.StreamResponse):
                    return answer
                return await self._answered(asked, answer, "json" if wants_json else shape)
            except Problem as problem:
                return self._trouble(asked, problem, wants_json)
            except UpshotError as error:
                return self._trouble(asked, self._problem_of(error), wants_json)
            except web.HTTPException:
                raise
            except Exception:  # noqa: BLE001 - whatever it is, people see a page
                _log.exception("a fault in a page")
                return self._trouble(asked, Problem(500, _OUR_FAULT), wants_json)

        return handle

    async def _soon(self, asked: PageRequest, page: PageHandler) -> View | web.StreamResponse:
        """The page's view; where it takes long, what says so and loads the page again."""

        async def seen() -> SeenView:
            return SeenView(await page(asked), asked.ages, monotonic())

        key = json.dumps([asked.frame.role, asked.frame.clock.zone, asked.request.rel_url.raw_path_qs])
        found = await self._slow.view(key, seen, self._may_be_slow)
        if isinstance(found, float):
            return reading_page(asked.frame, found)
        if found.ages is not asked.ages:
            since = monotonic() - found.at
            asked.ages.extend([since, *(age + since for age in found.ages)])
        return found.answer

    async def _may_be_slow(self) -> bool:
        """Whether there are so many runs that a page may take long."""
        if not self._has_many_runs:
            try:
                [[runs]] = (await self._ask(_STORED_RUNS)).rows
            except UpshotError:
                return False  # the page says why
            self._has_many_runs = int(runs) >= COSTLY
        return self._has_many_runs

    async def close(self, app: web.Application) -> None:
        """End what is on its way."""
        await self._slow.close()

    async def _ask(self, query: PageQuery) -> QueryResult:
        return await self.beside(partial(self.reader.query, query.sql, query.parameters))

    async def beside(self, work: Callable[[], T]) -> T:
        """Run blocking work in one of the threads of pages."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._away_since.clear()
        return found

    def _request_of(self, request: web.Request) -> PageRequest:
        now = datetime.now(UTC)
        query = Parameters(request.query, now)
        wanted = request.query.get("zone", "") or request.cookies.get(ZONE_COOKIE, "")
        zone = wanted if wanted and zone_of(wanted) else "UTC"
        frame = Frame(
            path=request.rel_url.raw_path.removesuffix(JSON) if request.path != "/index.json" else "/",
            clock=Clock(now, zone),
            role=self.access.role(request, time()),
            query=query.rest(*_OF_THE_FRAME),
            token=self.access.token(request),
            can_share=self.access.can_share,
            by_key=self.access.by_key,
        )
        return PageRequest(request, self, query, frame)

    def _check_role(self, asked: PageRequest, role: Role) -> None:
        order = ("nobody", "viewer", "operator")
        if order.index(asked.frame.role) >= order.index(role):
            return
        if not self.access.by_key:
            raise Problem(
                403,
                "pages are read on this machine alone: from elsewhere set UPSHOT_VIEWER_KEYS or "
                "UPSHOT_OPERATOR_KEYS and sign in with a key",
            )
        if asked.frame.role == "viewer":
            raise Problem(403, "this needs an operator's key: sign in with one, at /login")
        raise Problem(401, "sign in with a key, at /login, or send one: Authorization: Bearer KEY")

    async def _check_form(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "").lower().startswith("bearer "):
            return  # no page of another site can send a key
        form = await request.post()
        if not self.access.is_own_form(request, str(form.get("token", ""))):
            raise Problem(
                403, "this form is old or came from elsewhere; nothing was changed: load its page again"
            )

    async def _answered(self, asked: PageRequest, view: View, shape: str) -> web.StreamResponse:
        if shape in EXPORTS:
            if view.export is None:
                raise Problem(406, f"this page has no rows to give as {shape}; there is .json")
            return await self._exported(asked.request, view, shape)
        age = int(max(asked.ages, default=0))
        headers = {**view.headers, **({"Age": str(age)} if age else {})}
        if shape == "json":
            return web.Response(
                text=json_text(view.data),
                status=view.status,
                content_type="application/json",
                headers=headers,
            )
        context = {"title": view.title, "exports": tuple(EXPORTS), "view": view, "age": age,
                   **view.data, **view.extras}  # fmt: skip
        frame = replace(asked.frame, again=view.again) if view.again else asked.frame
        text = render(view.template, frame, **context)
        response = web.Response(
            text=text,
            status=view.status,
            content_type="text/html",
            headers=headers,
            zlib_executor_size=_LARGE,
        )
        response.enable_compression()  # tables and shapes shrink to a tenth; sessions are of this site alone
        if (zone := asked.request.query.get("zone", "")) and zone_of(zone):
            response.set_cookie(ZONE_COOKIE, zone, max_age=31_536_000, samesite="Lax", httponly=True)
        return response

    async def _exported(self, request: web.Request, view: View, shape: str) -> web.StreamResponse:
        assert view.export is not None
        format, media_type = EXPORTS[shape]
        stop = QueryStop()
        exporter = Reader(self.settings, timeout=_LONGEST_EXPORT, stop=stop)
        blocks = exporter.stream(view.export.sql, format, view.export.parameters, exact=False)
        name = (
            "".join(c if c.isalnum() and c.isascii() else "-" for c in view.title)[:60].strip("-") or "rows"
        )
        return await streamed(
            request,
            blocks,
            partial(self._attended, request, stop),
            media_type,
            f'attachment; filename="{name.lower()}.{shape}"',
        )

    async def _attended(self, request: web.Request, stop: QueryStop, work: Callable[[], T]) -> T:
        """Blocking work, given up once its reader has gone."""
        return await attended(request, self.beside(work), stop)

    def explained(self, error: UpshotError) -> str:
        """The error in a sentence; of a part that is away also since when."""
        if not isinstance(error, ClickHouseUnavailable | KafkaUnavailable):
            return str(error)
        since = self._away_since.setdefault(type(error).__name__, datetime.now(UTC))
        return f"{error}. So since {since:%Y-%m-%d %H:%M:%S} UTC"

    def _problem_of(self, error: UpshotError) -> Problem:
        headers = {"Retry-After": str(AGAIN)}
        match error:
            case ClickHouseUnavailable() | KafkaUnavailable():
                return Problem(503, self.explained(error), headers=headers)
            case QueryFailed():
                return Problem(422, str(error))
            case ConfigurationError():
                return Problem(400, str(error))
            case _:
                return Problem(503, str(error), headers=headers)

    def _trouble(self, asked: PageRequest, problem: Problem, as_json: bool) -> web.StreamResponse:
        if as_json:
            return as_problem(problem)
        return trouble_page(asked.frame, problem)


async def _read_form(request: web.Request) -> None:
    """Read the form, which the request keeps. Raises Problem for a body that is none."""
    try:
        await request.post()
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, "this form is too large; nothing was changed: send less") from None
    except (ValueError, LookupError, HttpProcessingError):
        raise Problem(
            400, "this is no form that can be read; nothing was changed: send it as UTF-8"
        ) from None


def _any_name(path: str) -> str:
    """The path, whose parts in braces match every name: by themselves they match none with braces."""
    return _PART.sub(r"{\1:[^/]+}", path)


async def streamed(
    request: web.Request,
    blocks: Iterator[bytes],
    beside: Callable[[Callable[[], Any]], Awaitable[Any]],
    media_type: str,
    disposition: str,
) -> web.StreamResponse:
    """Bytes as they come; the first block is read before the answer begins: a refusal is an answer."""
    first = await beside(lambda: next(blocks, b""))
    response = web.StreamResponse(headers={"Content-Type": media_type, "Content-Disposition": disposition})
    await response.prepare(request)
    try:
        block: bytes | None = first
        while block is not None:
            if block:
                await response.write(block)
            block = await beside(lambda: next(blocks, None))
        await response.write_eof()
    except UpshotError as error:
        _log.warning("an export ended before its time: %s", error)
        if request.transport is not None:
            request.transport.abort()
    finally:
        blocks.close()  # type: ignore[attr-defined]
    return response


__all__ = ["EXPORTS", "PageHandler", "PageRequest", "SeenView", "Site", "streamed"]

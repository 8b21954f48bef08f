"""`/insights`: SQL with parameters as form fields, named queries, a chart, exports of all rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import Any

from aiohttp import web

from upshot.errors import KafkaUnavailable, QueryFailed
from upshot.ingest.answers import Problem
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.pages.query import PageQuery
from upshot.insights.pages.schema import tables_and_columns
from upshot.insights.reader import Reader
from upshot.schemas.saved_queries import LONGEST_SQL, SavedQuery
from upshot.web.charts.tables import auto_chart, choices
from upshot.web.running import RunningQueries
from upshot.web.saved import SavedQueries
from upshot.web.site import PageRequest
from upshot.web.views import View

#: Rows and bytes that the page shows; exports have all rows.
_ROWS, _BYTES = 1_000, 8 * 1024 * 1024
#: Seconds of a query.
_LONGEST = 60.0
_PARAMETER = re.compile(r"\{([^{}]{1,200})\}")
_NAME, _TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}"), re.compile(r"[A-Za-z0-9_(), ']{1,80}")


class InsightPages:
    """The pages with SQL of one server."""

    def __init__(self, running: RunningQueries, saved: SavedQueries) -> None:
        self._running = running
        self._saved = saved

    async def insights(self, asked: PageRequest) -> View:
        """The editor with a query of the address, and its answer once a person of ours has asked for it."""
        given = dict(asked.query.beginning_with("p."))
        return await self._view(asked, _Asked(asked.query.text("sql"), given, "Insights"))

    async def named_query(self, asked: PageRequest) -> View:
        """A named query with its parameters; without further ado, since its SQL is ours."""
        name = asked.part("query")
        if name not in NAMED_QUERIES:
            raise Problem(
                404, f"there is no named query {name[:100]!r}; there are {', '.join(NAMED_QUERIES)}"
            )
        query = NAMED_QUERIES[name]
        given = {**query.parameters, **asked.query.beginning_with("p.")}
        return await self._view(asked, _Asked(query.sql, given, name, query.about, is_known=True))

    async def saved_query(self, asked: PageRequest) -> View:
        """A query that an operator has saved, with its chart."""
        name = asked.part("name")
        query = (await self._saved.all()).get(name)
        if query is None:
            raise Problem(
                404, f"there is no saved query {name[:200]!r}; /insights lists those that are there"
            )
        given = dict(asked.query.beginning_with("p."))
        wanted = _Asked(query.sql, given, name, query.about, is_known=True, saved=query)
        return await self._view(asked, wanted)

    async def schema(self, asked: PageRequest) -> web.Response:
        """Tables and columns for the editor's completion."""
        found = await asked.read(tables_and_columns, asked.reader)
        return web.json_response(found, headers={"Cache-Control": "private, max-age=60"})

    async def _view(self, asked: PageRequest, wanted: _Asked) -> View:
        if len(wanted.sql) > LONGEST_SQL:
            raise Problem(413, f"the SQL is longer than {LONGEST_SQL:,} characters")
        fields = [
            {"name": name, "type": kind, "value": wanted.given.get(name, "")}
            for name, kind in parameters_of(wanted.sql).items()
        ]
        may_run = wanted.is_known or _comes_from_here(asked.request)
        wants_rows = wanted.is_known or "run" in asked.request.query or _shape(asked) != ""
        if wanted.sql and _shape(asked) and not may_run:
            raise Problem(403, "another page led here: look at the SQL on this page first, and run it there")
        parameters: dict[str, object] = {str(field["name"]): field["value"] for field in fields}
        export = PageQuery(wanted.sql, parameters) if wanted.sql.strip() else None
        runs = export if wants_rows and may_run and _shape(asked) in ("", "json") else None
        answer, trouble = await self._answered(asked, runs)
        chart = wanted.saved or _NO_CHART
        x, ys = asked.query.text("x") or chart.x, asked.query.texts("y") or chart.y
        plot = auto_chart(answer["rows"], answer["columns"], x, ys, asked.frame.clock.at)
        data = {"sql": wanted.sql, "parameters": fields, **answer, "trouble": trouble}
        extras = {
            "about": wanted.about,
            "is_known": wanted.is_known,
            "saved": wanted.saved,
            "waits_for_click": bool(wanted.sql) and not (wants_rows and may_run),
            "plot": plot,
            "choices": choices(answer["rows"], answer["columns"]),
            "x": x,
            "ys": ys,
            "name": wanted.title,
            **({} if wanted.is_known else await self._listed()),
        }
        status = 422 if trouble else 200
        return View("insights.html", wanted.title, data, extras, status=status, export=export)

    async def _answered(self, asked: PageRequest, query: PageQuery | None) -> tuple[dict[str, Any], str]:
        """The first rows, or why there are none."""
        nothing: dict[str, Any] = {"rows": [], "more": False, "seconds": None, "columns": []}
        if query is None:
            return nothing, ""
        ticket = asked.query.text("ticket")
        try:
            work = partial(_answer, query=query)
            return await self._running.run(asked.request, ticket, _LONGEST, work), ""
        except QueryFailed as error:
            if _shape(asked) == "json":
                raise
            return nothing, str(error)

    async def _listed(self) -> dict[str, Any]:
        """Named and saved queries for their cards."""
        trouble = ""
        try:
            saved = sorted((await self._saved.all()).values(), key=lambda each: each.name.lower())
        except KafkaUnavailable as error:
            saved, trouble = [], str(error)
        named = [{"name": each.name, "about": each.about} for each in NAMED_QUERIES.values()]
        return {"named": named, "all_saved": saved, "no_saved": trouble}


@dataclass(frozen=True)
class _Asked:
    """The SQL of a page; `is_known`: it runs without a click, since it is ours or was saved here."""

    sql: str
    given: Mapping[str, object]
    title: str
    about: str = ""
    is_known: bool = False
    saved: SavedQuery | None = None


_NO_CHART = SavedQuery(name="-", sql="-", saved_at=datetime(2026, 1, 1, tzinfo=UTC))


def _shape(asked: PageRequest) -> str:
    return "json" if asked.means_json else asked.query.text("format").replace("html", "")


def _comes_from_here(request: web.Request) -> bool:
    """Whether our own page or a program asks; a browser says so for every request."""
    sites = request.headers.getall("Sec-Fetch-Site", [])
    return not sites or sites == ["same-origin"]


def parameters_of(sql: str) -> dict[str, str]:
    """The parameters of SQL with their types, in order."""
    halves = (inside.partition(":") for inside in _PARAMETER.findall(sql))
    found = ((name.strip(), kind.strip()) for name, _, kind in halves)
    return {name: kind for name, kind in found if _NAME.fullmatch(name) and _TYPE.fullmatch(kind)}


def _answer(reader: Reader, query: PageQuery) -> dict[str, Any]:
    """The first rows. Raises QueryFailed where the query gives no rows but bytes."""
    begun = monotonic()
    blocks = reader.stream(query.sql, "jsonl", query.parameters)
    rows: list[dict[str, Any]] = []
    more = False
    try:
        for line in _lines(blocks):
            if len(rows) == _ROWS:
                more = True
                break
            rows.append(_row(line))
    finally:
        blocks.close()  # type: ignore[attr-defined]
    columns = list(dict.fromkeys(name for row in rows[:50] for name in row))
    return {"rows": rows, "more": more, "seconds": monotonic() - begun, "columns": columns}


def _row(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8", "replace"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise QueryFailed("the query has a FORMAT clause and gives bytes instead of rows: leave it out")
    return found


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    pending, size = b"", 0
    for block in blocks:
        size += len(block)
        *lines, pending = (pending + block).split(b"\n")
        yield from (line for line in lines if line)
        if size > _BYTES:
            raise QueryFailed(
                f"the first rows are longer than {_BYTES // 2**20} MiB: ask without columns that hold whole "
                "events, or export all rows"
            )
    if pending:
        yield pending


__all__ = ["InsightPages", "parameters_of"]

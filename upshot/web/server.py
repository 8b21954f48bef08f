"""The web server: the page, its style, `/healthz` for programs, and the HTTP API for events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from aiohttp import web

from upshot.errors import PartFailed
from upshot.ingest.bodies import MAX_BODY
from upshot.ingest.routes import HttpApi
from upshot.settings import Settings
from upshot.sources import Source
from upshot.web.access import PageAccess
from upshot.web.assets import STATIC, serve_asset
from upshot.web.connections import KEEP_ALIVE, Connections
from upshot.web.expectations import refuse_odd_expectations
from upshot.web.guard import NoHeaders, guard
from upshot.web.pages.routes import add_pages
from upshot.web.schemas import Schemas
from upshot.web.site import Site
from upshot.web.status import Watch
from upshot.web.unknown import paths_of, unknown

#: What the server itself has to say. No line of a request gets into it, nor does any path: a signed link is a
#: key.
_log = logging.getLogger(__name__)

_WATCH = web.AppKey("watch", Watch)
#: Who has asked for anything, by its connection.
CONNECTIONS = web.AppKey("connections", Connections)

#: Bytes of a request's first line: an address may have a whole query in it.
LONGEST_LINE = 65_536

#: The page needs nothing from elsewhere, and what comes from events can't run.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "worker-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With no-referrer a browser sends `Origin: null` with our own forms, which are refused then.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(settings: Settings, sources: Sequence[Source] = ()) -> web.Application:
    """The application; `sources` are an app's own mappings of webhooks.

    Raises ConfigurationError where the settings can't be meant.
    """
    refuse_odd_expectations()
    paths: list[str] = []
    connections = Connections()
    app = web.Application(
        client_max_size=MAX_BODY, middlewares=[guard(settings, connections, unknown(paths))]
    )
    app[CONNECTIONS] = connections
    app[_WATCH] = Watch(settings)
    app.cleanup_ctx.append(_looking)
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/healthz", _healthz)
    Schemas().add_to(app)
    app.router.add_get("/assets/{digest}/{name:.+}", serve_asset)
    app.router.add_static("/static/", STATIC)
    api = HttpApi(settings, sources)
    add_pages(app, Site(settings, PageAccess(settings)), app[_WATCH], api.producer)
    api.add_to(app)
    paths += paths_of(app)
    return app


async def serve(
    settings: Settings, host: str, port: int, stop: asyncio.Event, sources: Sequence[Source] = ()
) -> None:
    """Serve until `stop`. Raises PartFailed where the port is taken."""
    app = make_app(settings, sources)
    _log.addFilter(NoHeaders())
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_log,
        keepalive_timeout=KEEP_ALIVE,
        shutdown_timeout=2,
        max_line_size=LONGEST_LINE,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PartFailed(
                f"the web page can't listen at {host}:{port}: {error.strerror}; choose another port"
            ) from None
        async with app[CONNECTIONS].watching(lambda: runner.server.connections if runner.server else ()):
            await stop.wait()
    finally:
        await runner.cleanup()


async def _looking(app: web.Application) -> AsyncIterator[None]:
    looking = asyncio.create_task(app[_WATCH].keep_looking())
    yield
    looking.cancel()
    await asyncio.wait({looking})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, text in _HEADERS.items():
        response.headers.setdefault(name, text)


async def _healthz(request: web.Request) -> web.Response:
    """200 where all parts answer and all workers read on, else 503 with which and why."""
    health = await request.app[_WATCH].health()
    parts = {
        part.name: {name: v for name, v in asdict(part).items() if name != "name"} for part in health.parts
    }
    body = {"status": "ok" if health.ok else "unavailable", "parts": parts}
    return web.Response(
        text=json.dumps(body, indent=2) + "\n",
        status=200 if health.ok else 503,
        content_type="application/json",
    )


__all__ = ["CONNECTIONS", "make_app", "serve"]

"""The web server: the page, its style, and `/healthz` for programs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from aiohttp import web

from upshot.errors import PartFailed
from upshot.settings import Settings
from upshot.web.render import page
from upshot.web.status import Watch

_STATIC = Path(__file__).with_name("static")
_WATCH = web.AppKey("watch", Watch)
_SETTINGS = web.AppKey("settings", Settings)

#: The page needs nothing from elsewhere, and what comes from events can't run.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(settings: Settings) -> web.Application:
    """The application."""
    app = web.Application()
    app[_SETTINGS] = settings
    app[_WATCH] = Watch(settings)
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/", _page)
    app.router.add_get("/healthz", _healthz)
    app.router.add_static("/static/", _STATIC)
    return app


async def serve(settings: Settings, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises PartFailed where the port is taken."""
    runner = web.AppRunner(make_app(settings), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise PartFailed(
                f"the web page can't listen at {host}:{port}: {error.strerror}; choose another port"
            ) from None
        await stop.wait()
    finally:
        await runner.cleanup()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def _page(request: web.Request) -> web.Response:
    status = await request.app[_WATCH].status()
    return web.Response(text=page(status, request.app[_SETTINGS]), content_type="text/html")


async def _healthz(request: web.Request) -> web.Response:
    """200 where all parts answer and both worker groups are live, else 503 with which and why."""
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


__all__ = ["make_app", "serve"]

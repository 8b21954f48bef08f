"""A worker's page for Prometheus, which no page in a browser on the same machine can read."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

#: Seconds of silence after which a connection is closed.
_PATIENCE = 10.0
_HERE = frozenset(("localhost", "127.0.0.1", "[::1]", "::1"))

_Start = Callable[..., Any]
_App = Callable[[dict[str, Any], _Start], Iterable[bytes]]


def serve_page(registry: CollectorRegistry, host: str, port: int) -> WSGIServer:
    """Serve the metrics in a thread of its own until the server is shut down. Raises OSError where serving
    isn't possible.
    """
    family, address = _family(host, port)

    class PageServer(ThreadingWSGIServer):
        address_family = family

    names = _HERE | {host.lower(), address} if _is_loopback(address) else None
    app = for_programs(make_wsgi_app(registry), names)
    server: WSGIServer = make_server(address, port, app, PageServer, handler_class=_Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def for_programs(app: _App, names: frozenset[str] | None) -> _App:
    """`app`, for requests coming from no web page and with a header Host out of `names`; None takes any name.

    A page of somebody else's reaches this machine by a name of its own. Where the metrics are open to other
    machines, these have names for this machine unknown here.
    """

    def checked(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        name = environ.get("HTTP_HOST", "").lower()
        bare = name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() and ":" in name else name
        foreign = environ.get("HTTP_ORIGIN") or environ.get("HTTP_SEC_FETCH_SITE") in (
            "cross-site",
            "same-site",
        )
        if (names is None or bare in names) and not foreign:
            return app(environ, start)
        start("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"ask for this page by an address of this machine, such as 127.0.0.1\n"]

    return checked


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _family(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
        0
    ]
    return family, str(place[0])


def _is_loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


__all__ = ["for_programs", "serve_page"]

"""The page for Prometheus answers to addresses of this machine, and to no page of somebody else's."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from upshot.ops.telemetry.page import serve_page

PATIENCE = 30.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    registry = CollectorRegistry()
    Counter("told", "Something.", registry=registry).inc()
    server = serve_page(registry, "127.0.0.1", 0)
    yield server.server_port
    server.shutdown()
    server.server_close()


def ask(port: int, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.putrequest("GET", "/metrics", skip_host=True)
        for name, text in headers.items():
            connection.putheader(name.replace("_", "-"), text)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.1:9464", "localhost", "LOCALHOST:1", "[::1]:80"])
def test_this_machine_reads_it(port: int, name: str) -> None:
    status, body = ask(port, Host=name)
    assert (status, b"told_total 1.0" in body) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:9464"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "["},
        {"Host": "0.0.0.0:9464"},
        {},
        {"Host": "localhost", "Origin": "http://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Sec_Fetch_Site": "cross-site"},
    ],
    ids=str,
)
def test_a_page_of_somebody_else_does_not(port: int, headers: dict[str, str]) -> None:
    status, body = ask(port, **headers)
    assert (status, b"told_total" in body) == (421, False)


def test_other_machines_may_have_names_for_it() -> None:
    server = serve_page(CollectorRegistry(), "0.0.0.0", 0)
    try:
        assert ask(server.server_port, Host="worker-1:9464")[0] == 200
    finally:
        server.shutdown()
        server.server_close()

"""Exporting: to a page, to a collector, and what happens where neither works."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.telemetry.conftest import Eventually
from upshot.errors import Unavailable
from upshot.ops.telemetry.export import export_metrics
from upshot.ops.telemetry.scrape import read_page
from upshot.settings import Settings
from upshot.streams.metrics.declared import METRICS
from upshot.streams.metrics.instruments import Instruments

ANY_PORT = Settings(metrics_port=0)


class Collector(HTTPServer):
    """Takes what is pushed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[ExportMetricsServiceRequest] = []
        self.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}"}


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """To nobody."""


@contextmanager
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_nobody_asks() -> None:
    telemetry = export_metrics(Settings(), "store", {})
    assert (telemetry.meter, telemetry.port) == (None, None)
    telemetry.close()


def test_a_page_and_what_it_says() -> None:
    telemetry = export_metrics(ANY_PORT, "store", {})
    instruments = Instruments("store", telemetry.meter)
    counts = {"raw_runs": 3}
    instruments.watch_counts("upshot.store.rows", counts)
    instruments.watch("upshot.consumer.lag", lambda: [(5, "in", "0"), (7, "in", "1")])
    instruments.watch_value("upshot.join.deadline.next", lambda: None)
    instruments.histogram("upshot.cycle.duration").record(0.2, "flush")
    url = f"http://127.0.0.1:{telemetry.port}/metrics"
    page = read_page(url)
    counts["raw_runs"] += 1
    later = read_page(url)
    telemetry.close()
    assert (page.role, page.value("upshot.store.rows"), later.value("upshot.store.rows")) == ("store", 3, 4)
    assert page.value("upshot.consumer.lag") == 12
    assert page.value("upshot.consumer.lag", partition="1") == 7
    assert page.by_partition("upshot.consumer.lag") == {("in", 0): 5, ("in", 1): 7}
    assert page.value("upshot.join.deadline.next") is None
    assert page.at <= later.at
    with pytest.raises(Unavailable, match="no metrics at"):
        read_page(url)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "127.0.0.1", "Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 421),
        ({"Origin": "null"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 421),
        ({"Host": "evil.example:9464"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "127.0.0.1@evil.example"}, 421),
        ({"Host": ""}, 421),
    ],
)
def test_no_web_page_reads_it(headers: dict[str, str], status: int) -> None:
    telemetry = export_metrics(ANY_PORT, "store", {})
    try:
        connection = HTTPConnection("127.0.0.1", telemetry.port, timeout=60)
        connection.request("GET", "/metrics", headers=headers)
        response = connection.getresponse()
        assert response.status == status
        assert not [name for name, _ in response.getheaders() if name.lower().startswith("access-control")]
        assert (b"process_" in response.read()) == (status == 200)
        connection.close()
    finally:
        telemetry.close()


def test_a_taken_port_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        telemetry = export_metrics(Settings(metrics_port=port), "correlate", {})
    assert (telemetry.meter, telemetry.port) == (None, None)
    [warning] = caplog.messages
    assert f"127.0.0.1:{port} can't be opened" in warning and "works all the same" in warning


def test_what_is_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with collector() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        telemetry = export_metrics(Settings(), "correlate", server.environment)
        assert telemetry.meter is not None and telemetry.port is None
        telemetry.close()
    [request] = server.taken
    [resource] = request.resource_metrics
    attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert attributes["service.name"] == "upshot"
    assert attributes["upshot.role"] == "correlate"
    assert attributes["service.instance.id"]
    assert attributes["deployment.environment.name"] == "test"
    [scope] = resource.scope_metrics
    told = {metric.name: metric.unit for metric in scope.metrics}
    assert told.items() <= {name: metric.unit for name, metric in METRICS.items()}.items()
    assert {"process.cpu.time", "upshot.ops.telemetry.failures"} <= told.keys()


def test_a_collector_that_is_away_is_counted_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    caplog.set_level(logging.INFO, "upshot")
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free.getsockname()[1]}"}
    for name, value in (nowhere | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    telemetry = export_metrics(ANY_PORT, "store", nowhere)
    assert telemetry.port is not None
    eventually(telemetry.port, lambda page: (page.value("upshot.ops.telemetry.failures") or 0) >= 2)
    telemetry.close()
    assert [m for m in caplog.messages if "don't reach" in m] == [
        (
            f"metrics don't reach {nowhere['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/metrics: dropped and counted "
            "until they do"
        )
    ]


def test_a_protocol_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert export_metrics(Settings(), "store", environ).meter is None
    assert "is grpc" in caplog.text


def test_only_what_is_declared_is_measured() -> None:
    instruments = Instruments("store")
    with pytest.raises(KeyError):
        instruments.watch_value("upshot.unheard.of", lambda: 1)
    with pytest.raises(TypeError, match="declared as a gauge"):
        instruments.histogram("upshot.consumer.lag")
    with pytest.raises(ValueError):
        instruments.histogram("upshot.cycle.duration").record(1.0)

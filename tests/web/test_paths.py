"""Whatever path, method or type is asked for, the answer says what there is; and the schemas are served."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from yarl import URL

from tests.ingest.raw import Wire, wire
from upshot.ingest.routes import OPEN_TOPICS
from upshot.settings import Settings
from upshot.web.access import PageAccess
from upshot.web.schemas import FOLDER
from upshot.web.server import make_app
from upshot.web.site import PageRequest, Site
from upshot.web.urls import url


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Wire]:
    async with wire() as server:
        yield server


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/outcome", "/v1/outcomes"),
        ("/v1/outcomes/", "/v1/outcomes"),
        ("/V1/Outcomes", "/v1/outcomes"),
        ("/outcomes", "/v1/outcomes"),
        ("/v1/trace", "/v1/traces"),
        ("/health", "/healthz"),
        ("/schemas", "/schemas/"),
        ("/v1/dead-letters", "written by correlate"),
        ("/v1/resumptions", "not sent over HTTP"),
        ("/nothing/of/the/kind", "`paths`"),
        ("/v1/webhooks/gitlab", "/v1/webhooks/github"),
    ],
)
async def test_unknown_paths_say_what_there_is(server: Wire, path: str, words: str) -> None:
    for method in ("GET", "POST"):
        answer = await server.ask(path, method=method)
        assert answer.status == 404
        assert words in answer.problem["detail"]
        assert {f"/v1/{topic.name}" for topic in OPEN_TOPICS} <= set(answer.problem["paths"])


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/v1/runs", "GET", "POST"),
        ("/v1/events", "PUT", "POST"),
        ("/v1/traces", "DELETE", "POST"),
        ("/v1/webhooks/github", "GET", "POST"),
        ("/healthz", "POST", "GET,HEAD"),
        ("/", "POST", "GET,HEAD"),
        ("/v1/links/x", "PATCH", "GET,HEAD,POST"),
    ],
)
async def test_other_methods_say_which_are_there(server: Wire, path: str, method: str, allowed: str) -> None:
    answer = await server.ask(path, method=method)
    assert answer.status == 405
    assert f"Allow: {allowed}" in answer.head
    assert allowed in answer.problem["detail"]


@pytest.mark.parametrize(
    ("path", "content_type", "words"),
    [
        ("/v1/outcomes", "text/plain", b"application/json"),
        ("/v1/outcomes", "application/x-www-form-urlencoded", b"application/json"),
        ("/v1/outcomes", "application/cloudevents+json", b"/v1/events"),
        ("/v1/runs", "application/x-protobuf", b"/v1/traces"),
        ("/v1/events", "application/json", b"/v1/outcomes"),
        ("/v1/traces", "text/plain", b"application/x-protobuf"),
        ("/v1/traces", "application/grpc", b"OTLP over HTTP"),
    ],
)
async def test_other_content_types_say_where_to_go(
    server: Wire, path: str, content_type: str, words: bytes
) -> None:
    answer = await server.ask(path, body=b"{}", content_type=content_type)
    assert answer.status == 415
    assert words in answer.body


@pytest.mark.parametrize("content_type", ["application/json", "application/x-protobuf", "text/plain"])
async def test_other_signals_are_told_where_they_belong(server: Wire, content_type: str) -> None:
    answer = await server.ask("/v1/metrics", body=b"{}", content_type=content_type)
    assert (answer.status, b"OTEL_METRICS_EXPORTER=none" in answer.body) == (404, True)
    for signal, variable in (
        (b"Logs", b"OTEL_LOGS_EXPORTER=none"),
        (b"Metrics", b"OTEL_METRICS_EXPORTER=none"),
    ):
        answer = await server.ask("/v1/traces", body=b'{"resource%s":[{}]}' % signal)
        assert (answer.status, variable in answer.body) == (400, True)


async def test_schemas_are_served_as_they_are_packed(server: Wire) -> None:
    index = (await server.ask("/schemas/", method="GET")).problem["schemas"]
    assert {f"{name}.json" for name in index} == {path.name for path in FOLDER.glob("*.json")} - {
        "index.json"
    }
    for name, entry in index.items():
        text = (FOLDER / f"{name}.json").read_bytes()
        latest = await server.ask(entry["latest"], method="GET")
        kept = await server.ask(entry["immutable"], method="GET")
        assert (latest.status, kept.status, latest.body, kept.body) == (200, 200, text, text)
        assert json.loads(text)["$id"] == entry["id"]
        assert "Content-Type: application/schema+json" in latest.head
        assert "Cache-Control: no-cache" in latest.head
        assert "immutable" in kept.head


async def test_schemas_that_the_asker_has_are_not_sent_again(server: Wire) -> None:
    first = await server.ask("/schemas/runs.json", method="GET")
    [tag] = [line.partition(": ")[2] for line in first.head.split("\r\n") if line.startswith("Etag: ")]
    for lines, status in (
        ([f"If-None-Match: {tag}"], 304),
        (['If-None-Match: "other"'], 200),
        (["If-None-Match: ["], 200),
    ):
        assert (await server.ask("/schemas/runs.json", lines, method="GET")).status == status


async def test_unknown_schemas_say_what_there_is(server: Wire) -> None:
    for path, words in (
        ("/schemas/run.json", "runs"),
        ("/schemas/runs/0000.json", "another schema"),
        ("/schemas/index.json", "runs"),
    ):
        answer = await server.ask(path, method="GET")
        assert (answer.status, words in answer.problem["detail"]) == (404, True)
    assert (await server.ask("/schemas/runs.json", method="GET", host="evil.example")).status == 421


async def test_a_name_with_braces_has_a_page(tmp_path: Path) -> None:
    app = make_app(Settings(data_dir=tmp_path))
    for page in ("runs", "scores", "subjects", "experiments", "alerts", "dead-letters", "r"):
        found = await app.router.resolve(make_mocked_request("GET", f"/{page}/%7B%7B7%2A7%7D%7D"))
        assert found.http_exception is None and list(found.values()) == ["{{7*7}}"], page


NAMED_LIKE_JSON = ("report.json", ".json", "a/b.json", "x.JSON", "y.json.json")
NAMED_LIKE_STEPS = (".", "..", "...", "~", "~.", "~..", "~~.", "~a", ".a", "./..", "~.json")


@pytest.mark.parametrize("page", ["/runs/{run}", "/r/{id}", "/experiments/{experiment}/units"])
async def test_any_name_has_a_page_and_its_json(tmp_path: Path, page: str) -> None:
    settings, app = Settings(data_dir=tmp_path), web.Application()

    async def shown(asked: PageRequest) -> web.Response:
        [part] = asked.request.match_info
        return web.json_response([asked.part(part), asked.means_json, asked.frame.path])

    Site(settings, PageAccess(settings)).add_get(app, page, shown)
    before, _, after = page.partition("/{")
    inside = "/units" if after.endswith("/units") else ""
    async with TestClient(TestServer(app)) as client:
        for name in NAMED_LIKE_JSON + NAMED_LIKE_STEPS:
            path = f"{url(before, name)}{inside}"
            for ending in ("", ".json"):
                answer = await client.get(URL(path + ending, encoded=True))
                assert await answer.json() == [name, bool(ending), path]


@pytest.mark.parametrize("end", ["%2Ejson", "%2ejson", ".%6Ason", "%2E%6a%73%6f%6e"])
async def test_an_encoded_end_belongs_to_the_name(tmp_path: Path, end: str) -> None:
    settings, app = Settings(data_dir=tmp_path), web.Application()

    async def shown(asked: PageRequest) -> web.Response:
        return web.json_response([asked.part("run"), asked.means_json])

    Site(settings, PageAccess(settings)).add_get(app, "/runs/{run}", shown)
    async with TestClient(TestServer(app)) as client:
        answer = await client.get(URL(f"/runs/a{end}", encoded=True))
        assert await answer.json() == ["a.json", False]


async def test_the_page_about_such_a_name_is_no_json(server: Wire) -> None:
    html = ["Accept: text/html"]
    assert b"<h1>" in (await server.ask(url("/runs", "a.json"), html, method="GET")).body
    assert b"<h1>" not in (await server.ask(url("/runs", "a.json") + ".json", html, method="GET")).body

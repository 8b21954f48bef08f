"""`/openapi.json`: the HTTP API, made from the events' schemas; `/api` shows it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from aiohttp import web

from upshot.ingest.routes import OPEN_TOPICS
from upshot.web.schemas import FOLDER
from upshot.web.site import PageRequest
from upshot.web.views import View
from upshot.webhooks.providers import PROVIDERS


@lru_cache(1)
def openapi() -> dict[str, Any]:
    """The description, OpenAPI 3.1."""
    schemas: dict[str, Any] = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(FOLDER.glob("*.json"))
        if file.stem != "index"
    }
    paths: dict[str, Any] = {}
    for topic in OPEN_TOPICS:
        name = topic.name
        one = {"$ref": f"#/components/schemas/{name}"} if name in schemas else {}
        content = {
            "application/json": {"schema": {"oneOf": [one, {"type": "array", "items": one}]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }
        paths[f"/v1/{name}"] = _post(f"Send {name.replace('-', ' ')}", content, topic.purpose)
    cloud = {"application/cloudevents+json": {"schema": {"type": "object"}}}
    paths["/v1/events"] = _post("Send outcomes as CloudEvents 1.0", cloud)
    spans = {"application/x-protobuf": {}, "application/json": {"schema": {"type": "object"}}}
    paths["/v1/traces"] = _post("Send OpenTelemetry spans (OTLP over HTTP)", spans)
    for provider in PROVIDERS:
        paths[f"/v1/webhooks/{provider}"] = _post(
            f"Webhooks of {provider}, signed by it", {"application/json": {"schema": {"type": "object"}}}
        )
    paths["/healthz"] = {
        "get": {"summary": "Whether every component works", "responses": {"200": _OK, "503": _OK}}
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Upshot", "version": "1", "description": "Events in; all or none of a request."},
        "paths": paths,
        "components": {
            "schemas": schemas | {"problem": _PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


_OK = {"description": "As JSON", "content": {"application/json": {"schema": {"type": "object"}}}}
_PROBLEM = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
}
_REFUSED = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}}


def _post(summary: str, content: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {
        "post": {
            "summary": summary,
            "description": description,
            "requestBody": {"required": True, "content": content},
            "responses": {
                "202": {**_OK, "description": "All events are stored; their ids"},
                "400": {"description": "Wrong events; nothing was taken", "content": _REFUSED},
                "401": {"description": "No key, or a wrong one", "content": _REFUSED},
                "503": {"description": "Kafka is away; send all of it again", "content": _REFUSED},
            },
        }
    }


async def openapi_json(request: web.Request) -> web.Response:
    """The description as JSON."""
    return web.json_response(openapi(), headers={"Cache-Control": "no-cache"})


async def api(asked: PageRequest) -> View:
    """The description for people."""
    described = openapi()
    places = [
        {"path": path, "method": method.upper(), **each}
        for path, methods in described["paths"].items()
        for method, each in methods.items()
    ]
    fields = {
        name: [
            {
                "name": field,
                "required": field in schema.get("required", []),
                "about": about.get("description", ""),
            }
            for field, about in schema.get("properties", {}).items()
        ]
        for name, schema in described["components"]["schemas"].items()
    }
    return View("api.html", "HTTP API", {"places": places, "fields": fields})


__all__ = ["api", "openapi", "openapi_json"]

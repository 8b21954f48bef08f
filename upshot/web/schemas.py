"""`/schemas/`: a JSON Schema of every event, in its present form and by an id with a fixed meaning."""

from __future__ import annotations

import json
from pathlib import Path

from aiohttp import web

import upshot.schemas
from upshot.ingest.answers import Problem

FOLDER = Path(upshot.schemas.__file__).parent / "json_schema"

_TYPE = "application/schema+json"
_ASK_AGAIN = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"


class Schemas:
    """Serves the files of `folder`, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}
        self._index = self._texts.pop("index")
        self._digests = {
            name: json.loads(text)["$id"].rpartition(":")[2] for name, text in self._texts.items()
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/schemas/", self.index)
        app.router.add_get("/schemas/{name}.json", self.latest)
        app.router.add_get("/schemas/{name}/{digest}.json", self.immutable)

    async def index(self, request: web.Request) -> web.Response:
        """All of them, with their ids and where they are."""
        return web.Response(
            text=self._index, content_type="application/json", headers={"Cache-Control": _ASK_AGAIN}
        )

    async def latest(self, request: web.Request) -> web.Response:
        """The present schema; 304 where the client has this schema."""
        name = self._known(request)
        return self._answer(request, name, _ASK_AGAIN)

    async def immutable(self, request: web.Request) -> web.Response:
        """The schema of this very id."""
        name = self._known(request)
        if request.match_info["digest"] != self._digests[name]:
            raise Problem(
                404, f"this release has another schema of {name}: /schemas/{name}/{self._digests[name]}.json"
            )
        return self._answer(request, name, _FOR_EVER)

    def _known(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._texts:
            raise Problem(404, f"there is no schema of that name; there are {', '.join(sorted(self._texts))}")
        return name

    def _answer(self, request: web.Request, name: str, caching: str) -> web.Response:
        response = web.Response(
            text=self._texts[name], content_type=_TYPE, headers={"Cache-Control": caching}
        )
        response.etag = self._digests[name]
        if any(etag.value in (self._digests[name], "*") for etag in request.if_none_match or ()):
            not_changed = web.Response(status=304, headers={"Cache-Control": caching})
            not_changed.etag = self._digests[name]
            return not_changed
        return response


__all__ = ["FOLDER", "Schemas"]

"""`POST /v1/<topic>` and `POST /v1/events`: events as JSON or CloudEvents, all or none of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from upshot.door.access import Access
from upshot.door.answers import Problem, answer, refused
from upshot.door.checking import check_all
from upshot.door.cloudevents import BATCH, STRUCTURED, read_cloudevents
from upshot.door.gate import Gate, Handler, body_of, large_beside
from upshot.door.links import LinkDoor, as_page
from upshot.door.reading import Entry, read_events
from upshot.door.retries import with_id
from upshot.door.sending import Intake
from upshot.door.traces import TraceDoor, as_status
from upshot.door.webhooks import WebhookDoor
from upshot.settings import Settings
from upshot.sources import Source
from upshot.streams.topics import TOPICS, Topic
from upshot.webhooks.providers import PROVIDERS

#: Events of one request.
MAX_EVENTS = 10_000
_JSON = ("application/json", "application/x-ndjson", "application/jsonl")

#: The topics that any client may write.
OPEN_TOPICS = tuple(topic for topic in TOPICS.values() if "any client" in topic.producers.split(", "))


class Door:
    """The handlers of one server; `sources` replace what a provider's webhooks mean by default.

    Raises ConfigurationError where the settings can't be meant.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source] = ()) -> None:
        access = Access(settings)
        self._gate = Gate(access)
        #: Whoever has no key can't keep out those that have one.
        self._public = Gate(access)
        self._intake = Intake(settings)
        self._traces = TraceDoor(settings, self._intake)
        self._links = LinkDoor(settings, self._intake)
        self._webhooks = WebhookDoor(settings, self._intake, sources)

    def add_to(self, app: web.Application) -> None:
        """Add the routes, and end the producer with the app."""
        app.router.add_post("/v1/events", self._gate(self._cloudevents))
        app.router.add_post("/v1/traces", self._gate(self._traces.take, render=as_status))
        app.router.add_get(
            "/v1/links/{token}", self._public(self._links.show, needs_key=False, render=as_page)
        )
        app.router.add_post(
            "/v1/links/{token}", self._public(self._links.record, needs_key=False, render=as_page)
        )
        for name, provider in PROVIDERS.items():
            app.router.add_post(
                f"/v1/webhooks/{name}", self._public(self._webhooks.of(provider), needs_key=False)
            )
        for topic in OPEN_TOPICS:
            app.router.add_post(f"/v1/{topic.name}", self._gate(self._events_of(topic)))
        app.cleanup_ctx.append(self._closing)

    async def _cloudevents(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        content_type = request.content_type if "Content-Type" in request.headers else ""
        told = await large_beside(body, lambda: read_cloudevents(content_type, request.headers, body))
        if told is None:
            raise Problem(
                415,
                f"no CloudEvent: send {STRUCTURED}, {BATCH}, or the attributes as headers (ce-type, "
                "ce-subject, …); plain JSON goes to /v1/outcomes",
            )
        return await self._take(request, TOPICS["outcomes"], body, told)

    def _events_of(self, topic: Topic) -> Handler:
        async def events(request: web.Request) -> web.Response:
            if request.content_type not in _JSON:
                raise Problem(415, "send application/json: one object, an array, or a line for each event")
            body = await body_of(request)
            return await self._take(request, topic, body, await large_beside(body, lambda: read_events(body)))

        return events

    async def _take(self, request: web.Request, topic: Topic, body: bytes, told: list[Entry]) -> web.Response:
        if not told and not body.lstrip().startswith(b"["):
            raise Problem(400, "there is no event in the request")
        if len(told) > MAX_EVENTS:
            raise Problem(413, f"more than {MAX_EVENTS} events; none was taken: send fewer at a time")
        request_id = request.headers.get("Idempotency-Key")
        if request_id and topic.name == "outcomes":
            told = [with_id(entry, request_id) for entry in told]
        taken, wrong = await large_beside(body, lambda: check_all(topic, told))
        if wrong:
            raise refused(wrong, len(told))
        ids = await self._intake.send(taken)
        return answer({"accepted": len(ids), "ids": ids}, 202)

    async def _closing(self, app: web.Application) -> AsyncIterator[None]:
        yield
        await self._webhooks.close()
        await self._intake.close()


__all__ = ["MAX_EVENTS", "OPEN_TOPICS", "Door"]

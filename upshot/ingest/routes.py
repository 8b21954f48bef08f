"""`POST /v1/<topic>` and `POST /v1/events`: events as JSON or CloudEvents, all or none of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from aiohttp import web

from upshot.ingest.access import Access
from upshot.ingest.answers import Problem, answer, refused
from upshot.ingest.assignments import AssignmentRoutes
from upshot.ingest.bodies import MAX_HELD_IN_PUBLIC, MAX_HELD_IN_PUBLIC_BY_PEER, Bodies
from upshot.ingest.cloudevents import BATCH, STRUCTURED, read_cloudevents
from upshot.ingest.gate import BodyHandler, Gate, large_beside
from upshot.ingest.limits import MAX_EVENTS
from upshot.ingest.links import LinkRoutes, as_page
from upshot.ingest.retries import Requests, digest_of, scopes_of, with_id
from upshot.ingest.sending import IngestProducer
from upshot.ingest.traces import TraceRoutes, as_status
from upshot.ingest.webhooks import WebhookRoutes
from upshot.settings import Settings
from upshot.sources import Source
from upshot.streams.events.checking import check_all
from upshot.streams.events.reading import InputEvent, read_events
from upshot.streams.events.topics import ANY_CLIENT, TOPICS, Topic
from upshot.webhooks.providers import PROVIDERS

_JSON = ("application/json", "application/x-ndjson", "application/jsonl")

#: The topics open to any client.
OPEN_TOPICS = tuple(topic for topic in TOPICS.values() if ANY_CLIENT in topic.producers)


class HttpApi:
    """The handlers of one server; `sources` replace the default mapping of a provider's webhooks.

    Raises ConfigurationError for unusable settings.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source] = ()) -> None:
        access = Access(settings)
        self._gate = Gate(access)
        #: Senders without a key can't keep out senders with a key.
        self._public = Gate(access, bodies=Bodies(MAX_HELD_IN_PUBLIC, MAX_HELD_IN_PUBLIC_BY_PEER))
        self._producer = IngestProducer(settings)
        self._requests = Requests()
        self._assignments = AssignmentRoutes(settings, self._producer)
        self._traces = TraceRoutes(settings, self._producer)
        self._links = LinkRoutes(settings, self._producer)
        self._webhooks = WebhookRoutes(settings, self._producer, sources)

    @property
    def producer(self) -> IngestProducer:
        """The producer of all requests."""
        return self._producer

    def add_to(self, app: web.Application) -> None:
        """Add the routes, and end the producer with the app."""
        app.router.add_post("/v1/events", self._gate(self._cloudevents))
        app.router.add_post("/v1/assignments", self._gate(self._assignments.take))
        app.router.add_post("/v1/traces", self._gate(self._traces.take, render=as_status))
        app.router.add_post("/v1/logs", self._gate(self._traces.take_logs, render=as_status))
        app.router.add_post("/v1/metrics", self._traces.refuse)
        links, opened = self._links, self._public.open
        app.router.add_get("/v1/links/{token}", opened(links.show, admit=links.admit, render=as_page))
        app.router.add_post("/v1/links/{token}", opened(links.record, admit=links.admit, render=as_page))
        hooks = self._webhooks
        for name, provider in PROVIDERS.items():
            handler = opened(hooks.take(provider), admit=hooks.admit(provider), verify=hooks.verify(provider))
            app.router.add_post(f"/v1/webhooks/{name}", handler)
        for topic in OPEN_TOPICS:
            app.router.add_post(f"/v1/{topic.name}", self._gate(self._events_of(topic)))
        app.cleanup_ctx.append(self._closing)

    async def _cloudevents(self, request: web.Request, body: bytes) -> web.Response:
        content_type = request.content_type if "Content-Type" in request.headers else ""
        events = await large_beside(
            body, lambda: read_cloudevents(content_type, request.headers, body, MAX_EVENTS)
        )
        if events is None:
            raise Problem(
                415,
                f"no CloudEvent: send {STRUCTURED}, {BATCH}, or the attributes as headers (ce-type, "
                "ce-subject, …); plain JSON goes to /v1/outcomes",
            )
        return await self._take(request, TOPICS["outcomes"], body, events)

    def _events_of(self, topic: Topic) -> BodyHandler:
        async def events(request: web.Request, body: bytes) -> web.Response:
            if request.content_type not in _JSON:
                raise Problem(
                    415,
                    "send application/json: one object, an array, or a line for each event; nothing was "
                    "taken. CloudEvents go to /v1/events, spans in protobuf to /v1/traces",
                )
            return await self._take(
                request, topic, body, await large_beside(body, lambda: read_events(body, MAX_EVENTS))
            )

        return events

    async def _take(
        self, request: web.Request, topic: Topic, body: bytes, events: list[InputEvent]
    ) -> web.Response:
        if not events and not body.lstrip().startswith(b"["):
            raise Problem(400, "there is no event in the request")
        request_id = _key_of(request)
        if request_id and topic.name == "outcomes":
            events = await large_beside(body, partial(_with_ids, events, request_id))
        taken, wrong = await large_beside(body, lambda: check_all(topic, events))
        if wrong:
            raise refused(wrong, len(events))
        if request_id:
            digest = await large_beside(body, lambda: digest_of(events))
            scopes = scopes_of(request.path, topic.name, events)
            self._requests.remember(request_id, scopes, digest)
        ids = await self._producer.send(taken)
        return answer({"accepted": len(ids), "ids": ids}, 202)

    async def _closing(self, app: web.Application) -> AsyncIterator[None]:
        yield
        await self._assignments.close()
        await self._webhooks.close()
        await self._producer.close()


def _with_ids(events: list[InputEvent], request_id: str) -> list[InputEvent]:
    return [with_id(entry, request_id) for entry in events]


def _key_of(request: web.Request) -> str | None:
    """The idempotency key of a request, or None. Raises Problem where there are several."""
    keys = request.headers.getall("Idempotency-Key", [])
    if len(set(keys)) > 1:
        raise Problem(400, "a request has one Idempotency-Key; nothing was taken")
    return keys[0] if keys else None


__all__ = ["MAX_EVENTS", "OPEN_TOPICS", "HttpApi"]

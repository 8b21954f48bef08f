"""`POST /v1/webhooks/<provider>`: verified by signature, mapped to outcomes, kept if unusable."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs

from aiohttp import web

from upshot.errors import InvalidEvent, Unsigned
from upshot.ingest.answers import Problem, answer
from upshot.ingest.gate import BodyCheck, BodyHandler, Check, large_beside
from upshot.ingest.names import NameMemory
from upshot.ingest.sending import IngestProducer
from upshot.settings import Settings
from upshot.sources import Message, Source, outcomes_of
from upshot.streams.events.checking import Unsent, check, now_ms
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.webhooks.names import Named, under_all_other_names
from upshot.webhooks.providers import PROVIDERS, Provider

_FORM = "application/x-www-form-urlencoded"


class MappedWebhook(NamedTuple):
    """The results of a webhook: outcomes, dead letters, and the webhook's object."""

    outcomes: list[OutgoingEvent]
    letters: list[OutgoingEvent]
    named: Named | None


log = logging.getLogger(__name__)


class WebhookRoutes:
    """Takes the webhooks of all providers with a secret. An app's sources replace a provider's mapping."""

    def __init__(self, settings: Settings, producer: IngestProducer, sources: Sequence[Source]) -> None:
        self._settings = settings
        self._producer = producer
        self._names = NameMemory(settings)
        self._sources: Mapping[str, Sequence[Source]] = {
            name: [source for source in sources if source.webhook == name] or [provider.default]
            for name, provider in PROVIDERS.items()
        }

    def admit(self, provider: Provider) -> Check:
        """Refuses requests of another kind than this provider's, before their body is read."""

        def check_headers(request: web.Request) -> None:
            if not provider.secrets(self._settings):
                variable = f"UPSHOT_WEBHOOK_{provider.name.upper()}_SECRET"
                raise Problem(404, f"webhooks of {provider.name} aren't set up here: set {variable}")
            if not request.headers.get(provider.signature):
                log.warning("a webhook in the name of %s is refused: it isn't signed", provider.name)
                raise Problem(
                    401, f"{provider.signature} is missing: set a secret at the sender; nothing was taken"
                )

        return check_headers

    def verify(self, provider: Provider) -> BodyCheck:
        """Refuses an unsigned body."""

        def check_signature(request: web.Request, body: bytes) -> None:
            try:
                provider.check(request.headers, body, provider.secrets(self._settings), datetime.now(UTC))
            except Unsigned as refusal:
                log.warning("a webhook in the name of %s is refused: %s", provider.name, refusal)
                raise Problem(401, f"{refusal}; nothing was taken") from None

        return check_signature

    def take(self, provider: Provider) -> BodyHandler:
        """Takes webhooks signed by one provider."""

        async def take(request: web.Request, body: bytes) -> web.Response:
            now = datetime.now(UTC)
            mapped = await large_beside(body, lambda: self._mapped(provider, request, body, now))
            outcomes, records = await self._under_all_names(provider, mapped)
            ids = await self._producer.send([*outcomes, *mapped.letters, *records])
            message = {"accepted": len(outcomes), "ids": ids[: len(outcomes)]}
            return answer(
                message | ({"dead_lettered": len(letters)} if (letters := mapped.letters) else {}), 202
            )

        return take

    def _mapped(self, provider: Provider, request: web.Request, body: bytes, now: datetime) -> MappedWebhook:
        """The outcomes, and dead letters for failures of a mapping: sending again would not help."""
        mapped = MappedWebhook([], [], None)
        delivery = request.headers.get(provider.delivery) or sha256(body).hexdigest()
        for number, source in enumerate(self._sources[provider.name]):
            try:
                message = _message(provider, source, request, body, delivery, now)
                mapped = mapped._replace(named=mapped.named or provider.named(message.value))
                mapped.outcomes.extend(
                    check(TOPICS["outcomes"], encoded) for encoded in outcomes_of(source, message)
                )
            except InvalidEvent as error:
                mapped.letters.append(self._letter(provider, body, error, f"{delivery} {number}"))
        return mapped

    async def _under_all_names(
        self, provider: Provider, mapped: MappedWebhook
    ) -> tuple[list[OutgoingEvent], list[OutgoingEvent]]:
        """The outcomes, under their objects' earlier names too, and names to be remembered.

        Raises KafkaUnavailable.
        """
        if mapped.named is None:
            return mapped.outcomes, []
        known = await self._names.of(mapped.named)
        also = [
            check(TOPICS["outcomes"], encoded)
            for outcome in mapped.outcomes
            for encoded in under_all_other_names(outcome.value, mapped.named, known.others, known.elsewhere)
        ]
        return [*mapped.outcomes, *also], known.records

    async def close(self) -> None:
        """Let go of the connection for names."""
        await self._names.close()

    def _letter(self, provider: Provider, body: bytes, error: InvalidEvent, about: str) -> OutgoingEvent:
        record = Unsent(body, now_ms(), f"webhook:{provider.name}", partition=0, offset=0)
        output = dead_letter(self._settings, record, error, about=about)
        identity = (output.key or b"").decode()
        return OutgoingEvent("dead-letters", identity, output.value or b"", (), identity)


def _message(
    provider: Provider, source: Source, request: web.Request, body: bytes, delivery: str, now: datetime
) -> Message:
    """The webhook as its source sees the request. Raises InvalidEvent for an unreadable body."""
    if request.content_type == _FORM:
        body = parse_qs(body.decode("utf-8", "replace")).get("payload", [""])[0].encode()
    return Message(
        value=source.read(body),
        origin=f"webhook:{provider.name}",
        place=f"{provider.name}-{delivery}",
        at=now,
        headers={name.lower(): text for name, text in request.headers.items()},
    )


__all__ = ["WebhookRoutes"]

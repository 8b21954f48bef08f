"""The outcomes of an app: its own, and the mappings of other systems' messages to outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, overload
from uuid import uuid4

from upshot.errors import Misuse
from upshot.otel.span import instant_of
from upshot.sdk.deferrals import with_offset
from upshot.sdk.facts import outcome_message
from upshot.sdk.forgiving import never_ends_the_agent
from upshot.sdk.replaying import EventSink
from upshot.sources import Source
from upshot.sources.parts import Find

Data = str | Mapping[str, str | Find] | Find


class Outcomes:
    """The part of an app for emitting outcomes and for mapping the messages of other systems."""

    name: str
    clock: Callable[[], int]

    def __init__(self) -> None:
        super().__init__()
        #: The mappings for the worker's role `sources` and for the webhooks of the HTTP API.
        self.sources: list[Source] = []

    @property
    def event_sink(self) -> EventSink:
        """Where facts go."""
        raise NotImplementedError

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone."""
        raise NotImplementedError

    @overload
    def outcome(
        self,
        type: str,
        subject: str,
        data: Any = None,
        *,
        id: str | None = None,
        source: str | None = None,
        time: datetime | None = None,
    ) -> str: ...
    @overload
    def outcome(
        self,
        type: str | Find,
        subject: str | Find,
        data: Data | None = None,
        *,
        topic: str,
        when: str | Find | None = None,
        id: str | Find | None = None,
        source: str | Find | None = None,
        time: str | Find | None = None,
        decode: Callable[[bytes], Any] = json.loads,
    ) -> Source: ...
    @overload
    def outcome(
        self,
        type: str | Find,
        subject: str | Find,
        data: Data | None = None,
        *,
        webhook: str,
        when: str | Find | None = None,
        id: str | Find | None = None,
        source: str | Find | None = None,
        time: str | Find | None = None,
    ) -> Source: ...
    def outcome(
        self,
        type: str | Find,
        subject: str | Find,
        data: Any = None,
        *,
        topic: str | None = None,
        webhook: str | None = None,
        id: Any = None,
        source: Any = None,
        time: Any = None,
        **mapping: Any,
    ) -> str | Source:
        """Record an outcome of a subject; runs with a wait for the subject are scored. Returns the outcome's
        id.

        Outcomes with one `source` and `id` about one subject are the same: give the event's id at home (a
        delivery's, a database row's), so that a repeat does no harm. `time` is now where absent. The outcome
        is safe once the call returns. Raises Misuse for an invalid outcome, SpoolFull.

        With `topic` or `webhook` the call is the older spelling of `map_outcomes`, with the same result.
        """
        if topic is not None or webhook is not None:
            return self._map(
                type, subject, topic, webhook, id=id, time=time, data=data, source=source, **mapping
            )
        if mapping:
            raise Misuse(
                f"{next(iter(mapping))}= is about the messages of others: declare where they are by "
                "app.map_outcomes(…, topic='github') or app.map_outcomes(…, webhook='github'); app.outcome "
                "records an outcome of your own, and needs nothing but the outcome"
            )
        return self._tell(type, subject, data, id, source, time)

    @overload
    def map_outcomes(
        self,
        type: str | Find,
        subject: str | Find,
        data: Data | None = None,
        *,
        topic: str,
        when: str | Find | None = None,
        id: str | Find | None = None,
        source: str | Find | None = None,
        time: str | Find | None = None,
        decode: Callable[[bytes], Any] = json.loads,
    ) -> Source: ...
    @overload
    def map_outcomes(
        self,
        type: str | Find,
        subject: str | Find,
        data: Data | None = None,
        *,
        webhook: str,
        when: str | Find | None = None,
        id: str | Find | None = None,
        source: str | Find | None = None,
        time: str | Find | None = None,
    ) -> Source: ...
    def map_outcomes(
        self,
        type: str | Find,
        subject: str | Find,
        data: Data | None = None,
        *,
        topic: str | None = None,
        webhook: str | None = None,
        **mapping: Any,
    ) -> Source:
        """Declare which messages of a Kafka topic or of a provider's webhook are outcomes; nothing is sent.

        A worker or a web server with this app reads the messages. `type`, `subject`, `data` and the others
        are paths or functions, described at Source. Returns the Source. Raises ConfigurationError for an
        unusable mapping.
        """
        return self._map(type, subject, topic, webhook, data=data, **mapping)

    def _map(
        self, type: str | Find, subject: str | Find, topic: str | None, webhook: str | None, **parts: Any
    ) -> Source:
        mapped = Source(type, subject, topic, webhook, **parts)
        self.sources.append(mapped)
        return mapped

    @never_ends_the_agent("")
    def _tell(self, type: Any, subject: Any, data: Any, id: Any, source: Any, time: Any) -> str:
        # Each call is an event of its own; the id makes one event of its repeated deliveries.
        identity = id or uuid4().hex
        message = outcome_message(
            type=type,
            subject=subject,
            data=data,
            id=identity,
            source=source or self.name,
            time=with_offset("time", time) or instant_of(self.clock()),
        )
        self.event_sink.fact(message)
        return str(identity)


__all__ = ["Outcomes"]

"""The role `sources`: topics of other systems, read for their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from opentelemetry.metrics import Meter

from upshot.errors import ConfigurationError, InvalidEvent, Unavailable
from upshot.settings import Settings
from upshot.sources.loading import SourceApp, load_app, no_app
from upshot.sources.message import Message
from upshot.sources.source import Source, outcomes_of
from upshot.streams.events.checking import check
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.records import Record, place_of, recorded_at
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchApp, Effects, Output, RoleApp, Timing, batch_app

ROLE = "sources"


class Sources:
    """Reads the sources' topics, writes `outcomes` and `dead-letters`; keeps nothing but counts.

    A record that a source can't map becomes a dead letter with its bytes; the other sources of its topic
    still see the record.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source]) -> None:
        self._settings = settings
        self._by_topic = {
            topic: [source for source in sources if source.topic == topic] for topic in topics_of(sources)
        }
        self.dead_letters: Counter[str] = Counter()

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the role."""
        return list(self._by_topic)

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Nothing: the role keeps no state."""

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Nothing: the role keeps no state."""

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Every record by itself; ids follow from its place, so that a repetition is the same outcome."""
        effects = Effects()
        for tp, records in batches.items():
            for record in records:
                for number, source in enumerate(self._by_topic[tp.topic]):
                    self._map(source, number, record, effects)
        return effects

    async def tick(self) -> Effects:
        """Nothing."""
        return Effects()

    async def flush(self) -> None:
        """Nothing: the runtime owns the outputs."""

    def _map(self, source: Source, number: int, record: Record, effects: Effects) -> None:
        if record.value is None:
            return
        try:
            outcomes = outcomes_of(source, _message(source, record))
            effects.outputs += [self._output(outcome, record) for outcome in outcomes]
        except InvalidEvent as error:
            self.dead_letters[error.reason] += 1
            effects.outputs.append(dead_letter(self._settings, record, error, about=f"source {number}"))

    def _output(self, outcome: bytes, record: Record) -> Output:
        checked = check(TOPICS["outcomes"], outcome, at=record.timestamp)
        topic = self._settings.topic("outcomes")
        return Output(topic, None, checked.key_bytes, outcome, timestamp_ms=record.timestamp)


def _message(source: Source, record: Record) -> Message:
    """The record as its source sees the record. Raises InvalidEvent where decoding fails."""
    return Message(
        value=source.read(record.value or b""),
        origin=record.topic,
        place=place_of(record).ident,
        at=recorded_at(record),
        key=None if record.key is None else record.key.decode("utf-8", "replace"),
        headers={name.lower(): (text or b"").decode("utf-8", "replace") for name, text in record.headers},
    )


def topics_of(sources: Sequence[Source]) -> list[str]:
    """The topics read by these sources, by their full names."""
    return list(dict.fromkeys(source.topic for source in sources if source.topic))


async def check_topics(settings: Settings, topics: Sequence[str]) -> None:
    """Raises Unavailable where one of these topics is missing: somebody else creates them."""
    async with admin_client(settings) as admin:
        if missing := sorted(set(topics) - set(await admin.list_topics())):
            raise Unavailable(f"these topics don't exist yet at {settings.kafka_url}: {', '.join(missing)}")


def sources_app(
    settings: Settings, app: SourceApp, timing: Timing | None = None, meter: Meter | None = None
) -> BatchApp:
    """The Faust app of the role for the sources of `app`; its group is named after the app.

    Raises ConfigurationError where none of the sources reads a topic. Call `sources_app` within a running
    event loop.
    """
    instruments = Instruments(ROLE, meter)
    handler = Sources(settings, app.sources)
    if not handler.topics:
        raise ConfigurationError(f"the app {app.name} has no source with a topic: there is nothing to read")
    instruments.watch_counts("upshot.dead_letters", handler.dead_letters)
    group = settings.app_id(f"{ROLE}-{app.name}")
    return batch_app(group, settings, lambda _: handler, timing=timing, instruments=instruments)


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role for the sources of `app`. Raises ConfigurationError."""
    if app is None:
        raise ConfigurationError(no_app(ROLE))
    loaded = load_app(app)
    return RoleApp(
        lambda settings, timing, meter: sources_app(settings, loaded, timing, meter),
        topics_of(loaded.sources),
    )


__all__ = ["ROLE", "Sources", "check_topics", "role_app", "sources_app", "topics_of"]

"""The registry's records as they stand, for whoever is about to change one, and a changed one as an event."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.registry.reader import RegistryReader
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent

_PATIENCE = 15.0


def registered(settings: Settings, about: str = "") -> Mapping[str, Experiment]:
    """The topic's records as they stand: the store may be behind. Blocks; raises KafkaUnavailable.

    Raises ConfigurationError where the last record of the experiment `about` isn't readable: a newer release
    may have written the record, and a change of the record before would undo it.
    """
    found: dict[str, Experiment] = {}
    read = threading.Event()

    def take(records: Mapping[str, Experiment]) -> None:
        found.update(records)
        read.set()

    reader = RegistryReader(settings, take)
    reader.start()
    try:
        if not read.wait(_PATIENCE):
            raise KafkaUnavailable(
                f"the topic {settings.topic('experiments')} at {settings.kafka_url} gives no answer; "
                "nothing was changed"
            )
    finally:
        reader.close()
    if about and (reason := reader.unreadable.get(about)):
        raise ConfigurationError(
            f"the registry's last record of {about} isn't readable here ({reason}); nothing was changed: use "
            "the release that wrote the record, or a newer one"
        )
    return found


def record_of(settings: Settings, name: str) -> Experiment:
    """The record of one experiment.

    Blocks; raises KafkaUnavailable, and ConfigurationError where there is none, or an unreadable one.
    """
    known = registered(settings, name)
    if name not in known:
        have = ", ".join(sorted(known)[:10]) or "none"
        raise ConfigurationError(
            f"the registry has no experiment {name!r} (it has: {have}); nothing was changed"
        )
    return known[name]


def record_event(record: Experiment) -> OutgoingEvent:
    """A record as an event: the whole truth of its experiment."""
    value = record.model_dump_json(exclude_unset=True).encode()
    return OutgoingEvent("experiments", record.experiment, value)


__all__ = ["record_event", "record_of", "registered"]

"""`POST /v1/assignments`: the variant of a run, by the registry, with its exposure recorded."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from upshot.errors import InvalidEvent
from upshot.experiments.definition import Definition
from upshot.experiments.overrides import parsed
from upshot.experiments.serving import Served, served
from upshot.ingest.answers import Problem, again_in, answer, refused
from upshot.ingest.gate import large_beside
from upshot.ingest.limits import MAX_EVENTS
from upshot.ingest.sending import IngestProducer
from upshot.registry.definitions import Registry
from upshot.registry.reader import RegistryReader
from upshot.schemas.assignments import AssignmentRequest
from upshot.schemas.exposures import Exposure
from upshot.settings import Settings
from upshot.streams.events.checking import Refusal
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.parsing import parse
from upshot.streams.events.reading import InputEvent, read_events
from upshot.streams.events.records import validate

#: Seconds from the first request on, in which requests wait for the registry to be read.
READ_WITHIN = 5.0
#: Choices remembered: a run that asks again gets its variant again, whatever the registry has by then.
MAX_CHOICES = 50_000
_NAMED = 10


class AssignmentRoutes:
    """Chooses variants as the SDK does. Raises ConfigurationError for an unreadable setting `variants`."""

    def __init__(self, settings: Settings, producer: IngestProducer) -> None:
        following = functools.partial(RegistryReader, settings)
        origin = f"{settings.kafka_url} {settings.topic('experiments')}"
        self._registry = Registry(following, settings.data_dir / "experiments.json", origin)
        self._forced = parsed(settings.variants)
        self._producer = producer
        self._chosen: OrderedDict[tuple[str, str, str | None], Served] = OrderedDict()
        self._waits_until: float | None = None

    async def take(self, request: web.Request, body: bytes) -> web.Response:
        """200 once the exposures are safe; for a refused request nothing is recorded."""
        if request.content_type != "application/json":
            raise Problem(
                415, "send application/json: one request, or an array of them; nothing was recorded"
            )
        asked = await large_beside(body, lambda: _read(body))
        definitions = await self._definitions([each.experiment for each in asked])
        found = [self._served(each, definitions[each.experiment]) for each in asked]
        await self._producer.send([_message(each.exposure) for each in found if each.exposure is not None])
        for each, one in zip(asked, found, strict=True):
            self._remember(each, one)
        return answer({"assignments": [each.answer.model_dump(mode="json") for each in found]})

    async def close(self) -> None:
        """Stop following the registry."""
        await asyncio.to_thread(self._registry.close)

    async def _definitions(self, names: Sequence[str]) -> dict[str, Definition]:
        """The registered definitions. Raises Problem for experiments that the registry lacks."""
        if not self._registry.is_read:
            await self._wait()
        found = {name: self._registry.definition(name) for name in names}
        lacking = [number for number, name in enumerate(names, 1) if found[name] is None]
        if lacking and not self._registry.is_read:
            raise Problem(
                503,
                "the registry of experiments can't be read now; nothing was recorded: send all of it again, "
                "or serve the control",
                headers=again_in(1),
            )
        if lacking:
            raise self._unknown(names, lacking)
        return {name: definition for name, definition in found.items() if definition is not None}

    async def _wait(self) -> None:
        """Requests of the first seconds wait; later ones take the copy on disk."""
        now = time.monotonic()
        if self._waits_until is None:
            self._waits_until = now + READ_WITHIN
        if now < self._waits_until:
            await asyncio.to_thread(self._registry.wait, self._waits_until - now)

    def _unknown(self, names: Sequence[str], lacking: Sequence[int]) -> Problem:
        known = sorted(self._registry.names())
        there = f"it has {', '.join(known[:_NAMED])}" if known else "it is empty"
        detail = (
            f"the registry has no experiment {names[lacking[0] - 1]!r:.100}: {there}; nothing was recorded. "
            "Register experiments with  upshot experiments start"
        )
        items = [{"where": f"item {number}", "experiment": names[number - 1]} for number in lacking]
        return Problem(404, detail, items=items[:_NAMED])

    def _served(self, asked: AssignmentRequest, definition: Definition) -> Served:
        before = self._chosen.get(_about(asked))
        if before is not None and not asked.peek and asked.override is None:
            return Served(before.answer, None)
        return served(asked, definition, datetime.now(UTC), self._forced)

    def _remember(self, asked: AssignmentRequest, found: Served) -> None:
        if found.exposure is None:
            return
        self._chosen[_about(asked)] = found
        while len(self._chosen) > MAX_CHOICES:
            self._chosen.popitem(last=False)


def _about(asked: AssignmentRequest) -> tuple[str, str, str | None]:
    return asked.experiment, asked.run_id or "", asked.unit


def _read(body: bytes) -> list[AssignmentRequest]:
    """The requests of a body. Raises Problem where any is wrong, InvalidEvent for too many."""
    entries = read_events(body, MAX_EVENTS)
    if not entries:
        raise Problem(400, "there is no request in the body; nothing was recorded")
    found: list[AssignmentRequest] = []
    wrong: list[Refusal] = []
    for entry in entries:
        try:
            found.append(_request(entry))
        except InvalidEvent as error:
            wrong.append(Refusal(entry.where, error.reason, error.detail))
    if wrong:
        raise refused(wrong, len(entries))
    return found


def _request(entry: InputEvent) -> AssignmentRequest:
    return validate(AssignmentRequest, parse(entry.value))


def _message(exposure: Exposure) -> OutgoingEvent:
    value = exposure.model_dump_json(exclude_none=True).encode("utf-8", "surrogatepass")
    return OutgoingEvent("exposures", exposure.run_id, value, (), exposure.identity)


__all__ = ["MAX_CHOICES", "READ_WITHIN", "AssignmentRoutes"]

"""The whole system on this machine: which parts there are, and how each finds the others."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, get_args

from pydantic import SecretStr

from upshot.errors import PartFailed, Unavailable
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.part import Part
from upshot.local.ports import choose_ports, is_free, listens
from upshot.local.process import ProcessPart
from upshot.local.roles import ROLES, role_command, role_environment
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.admin import ensure_topics
from upshot.streams.groups import group_states

PartName = Literal["kafka", "clickhouse", "worker", "web"]
PARTS: tuple[PartName, ...] = get_args(PartName)

#: Seconds between two questions to the broker while a role starts.
_LOOK = 0.3


@dataclass
class Whole:
    """The parts in `settings.data_dir`, made one after the other as a Stack takes them.

    `settings` follows: once Kafka and ClickHouse were started it has their addresses. A part that isn't
    in `wanted` is expected where the settings say. A port 0 is any free one.
    """

    settings: Settings
    wanted: Collection[PartName] = PARTS
    ports: Mapping[str, int] = field(default_factory=dict)
    report: Callable[[str], None] = lambda line: None

    def parts(self) -> Iterator[Part]:
        """Each part, when those before it answer; topics and tables in between. Raises PartFailed."""
        self._check_ports()
        if "kafka" in self.wanted:
            kafka = KafkaServer(self.settings.data_dir, self.ports.get("kafka", 0), report=self.report)
            yield from self._told(kafka)
            self._now(kafka_url=kafka.bootstrap, kafka_security="PLAINTEXT")
        if "clickhouse" in self.wanted:
            clickhouse = ClickHouseServer(self.settings.data_dir, self.ports.get("clickhouse", 0))
            yield from self._told(clickhouse)
            self._now(clickhouse_url=SecretStr(clickhouse.url))
        if "worker" in self.wanted:
            self._prepare()
            for role in ROLES:
                yield from self._told(self._role(role))
        if "web" in self.wanted:
            yield from self._told(self._web())

    def _check_ports(self) -> None:
        """Say at once which port is taken, before anything was started."""
        for name, port in self.ports.items():
            if name in self.wanted and port and not is_free(port):
                raise PartFailed(
                    f"port {port} is taken by another program; nothing was started: end that program, or "
                    f"choose another port with --{name}-port (0 for any free one)"
                )

    def _now(self, **known: object) -> None:
        self.settings = self.settings.model_copy(update=known)

    def _told(self, part: Part) -> Iterator[Part]:
        began = time.monotonic()
        self.report(f"{part.name}: starting")
        yield part
        where = f" at 127.0.0.1:{part.port}" if part.port else ""
        self.report(f"{part.name}: ready{where} after {time.monotonic() - began:.1f} s")

    def _prepare(self) -> None:
        try:
            created = asyncio.run(ensure_topics(self.settings))
            applied = migrate(self.settings)
        except Unavailable as error:
            raise PartFailed(f"topics and tables could not be prepared: {error}") from error
        if created or applied:
            self.report(f"prepared: {len(created)} topics created, {len(applied)} migrations applied")

    def _role(self, role: str) -> ProcessPart:
        environment = role_environment(self.settings)
        ready = _Reads(self.settings, role)
        return ProcessPart(role, role_command(role), self.settings.data_dir, environment, ready)

    def _web(self) -> ProcessPart:
        ports_file = self.settings.data_dir / "run" / "web-ports.json"
        port = choose_ports(ports_file, {"web": self.ports.get("web", 0)})["web"]
        command = [sys.executable, "-P", "-m", "upshot.web", "--port", str(port)]
        environment = role_environment(self.settings)
        return ProcessPart(
            "web", command, self.settings.data_dir, environment, lambda: listens(port), port=port
        )


class _Reads:
    """Whether somebody reads for a role; asks the broker now and then only."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings = settings
        self._group = settings.app_id(role)
        self._next = 0.0

    def __call__(self) -> bool:
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOOK
        with ThreadPoolExecutor(1) as outside:  # the caller may run inside an event loop
            return outside.submit(asyncio.run, self._is_live()).result()

    async def _is_live(self) -> bool:
        try:
            [group] = await group_states(self._settings, {self._group: []})
        except Unavailable:
            return False
        return group.is_live


__all__ = ["PARTS", "PartName", "Whole"]

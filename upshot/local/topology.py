"""The whole system on this machine: its components, and how each finds the others."""

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
from upshot.local.component import Component
from upshot.local.kafka import KafkaServer
from upshot.local.ports import choose_ports, is_free, listens
from upshot.local.process import ProcessPart
from upshot.local.roles import metrics_port, role_command, role_environment
from upshot.processors.roles import ROLES, roles_of, roles_of_app
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.groups import group_states

PartName = Literal["kafka", "clickhouse", "worker", "web"]
PARTS: tuple[PartName, ...] = get_args(PartName)

#: Seconds between two questions to the broker while a role starts.
_LOOK = 0.3


@dataclass
class Topology:
    """The components in `settings.data_dir`, made in order as a Stack takes them.

    `settings` follows: once Kafka and ClickHouse were started, `settings` has their addresses. A component
    absent from `wanted` is expected at the address in the settings. Port 0 means any free port.
    """

    settings: Settings
    wanted: Collection[PartName] = PARTS
    ports: Mapping[str, int] = field(default_factory=dict)
    report: Callable[[str], None] = lambda line: None
    #: The user's app, as `module:name`.
    app: str | None = None
    #: For readers; known where ClickHouse is one of the components.
    _viewer_url: str = field(default="", init=False)

    def parts(self) -> Iterator[Component]:
        """Each component, when all earlier ones answer; topics and tables in between. Raises PartFailed."""
        self._check_ports()
        if "kafka" in self.wanted:
            kafka = KafkaServer(self.settings.data_dir, self.ports.get("kafka", 0), report=self.report)
            yield from self._reported(kafka)
            self._now(kafka_url=kafka.bootstrap, kafka_security="PLAINTEXT")
        if "clickhouse" in self.wanted:
            clickhouse = ClickHouseServer(self.settings.data_dir, self.ports.get("clickhouse", 0))
            yield from self._reported(clickhouse)
            if clickhouse.warning:
                self.report(f"clickhouse: {clickhouse.warning}")
            self._now(clickhouse_url=SecretStr(clickhouse.url))
            self._viewer_url = clickhouse.viewer_url
        if "worker" in self.wanted:
            self._prepare()
            for role in roles_of(self.settings):
                yield from self._reported(self._role(role))
            for role in roles_of_app(self.app):
                yield from self._reported(self._role_of_app(role, self.app or ""))
        if "web" in self.wanted:
            yield from self._reported(self._web())

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

    def _reported(self, part: Component) -> Iterator[Component]:
        began = time.monotonic()
        self.report(f"{part.name}: starting")
        yield part
        where = f" at 127.0.0.1:{part.port}" if part.port else ""
        after = f" after {time.monotonic() - began:.1f} s"
        is_role = part.name in ROLES
        self.report(f"{part.name}: ready{f'{after}, metrics{where}' if is_role else where + after}")

    def _prepare(self) -> None:
        try:
            created = asyncio.run(ensure_topics(self.settings))
            applied = migrate(self.settings)
        except Unavailable as error:
            raise PartFailed(f"topics and tables could not be prepared: {error}") from error
        if created or applied:
            self.report(f"prepared: {len(created)} topics created, {len(applied)} migrations applied")

    def _role(self, role: str) -> ProcessPart:
        port = self._metrics_port(role)
        environment = role_environment(self.settings, port)
        ready = _Reads(self.settings, role)
        return ProcessPart(role, role_command(role), self.settings.data_dir, environment, ready, port=port)

    def _role_of_app(self, role: str, app: str) -> ProcessPart:
        """Sources wait for topics created by other systems, so a running process counts as ready."""
        environment = role_environment(self.settings, port := self._metrics_port(role))
        ready = _Reads(self.settings, role) if ROLES[role].reads else lambda: True
        command = role_command(role, app)
        return ProcessPart(role, command, self.settings.data_dir, environment, ready, port=port)

    def _metrics_port(self, role: str) -> int:
        """A chosen port is the worker's affair: where the port is taken, the worker goes on without."""
        file = self.settings.data_dir / "run" / f"{role}-ports.json"
        return metrics_port(self.settings, role) or choose_ports(file, {"metrics": 0})["metrics"]

    def _web(self) -> ProcessPart:
        ports_file = self.settings.data_dir / "run" / "web-ports.json"
        port = choose_ports(ports_file, {"web": self.ports.get("web", 0)})["web"]
        command = [sys.executable, "-P", "-m", "upshot.web", "--port", str(port)]
        command += ["--app", self.app] if self.app else []
        # The page only reads, and has many visitors.
        viewer = {"UPSHOT_CLICKHOUSE_URL": self._viewer_url} if self._viewer_url else {}
        environment = role_environment(self.settings) | viewer
        return ProcessPart(
            "web", command, self.settings.data_dir, environment, lambda: listens(port), port=port
        )


class _Reads:
    """Whether a consumer reads for a role; asks the broker now and then only."""

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


__all__ = ["PARTS", "PartName", "Topology"]

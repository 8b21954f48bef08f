"""The parts under test, and what can be done to each of them."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from benchmarks.chaos.broker import BrokerBehindLinks, Listener
from benchmarks.chaos.disk import limit_files, refuse_rows
from benchmarks.chaos.links import Link
from upshot.errors import PartFailed
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.component import Component
from upshot.local.ports import choose_ports
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.migrate import migrate
from upshot.settings import LOCAL_USER, Settings, local_url
from upshot.streams.kafka.admin import ensure_topics

_LOOK = 0.1
#: The roles of workers, and their app where they run code.
_ROLES = {"correlate": None, "store": None, "followups": "benchmarks.chaos.scorers:app"}
_ROOT = Path(__file__).resolve().parents[2]
_START_WITHIN = 120.0
_STOP_WITHIN = 30.0


@dataclass
class Member:
    """One part. `wanted` says whether it's started again when it has died."""

    part: Component
    role: str
    state: Path | None = None
    links: Sequence[Link] = ()
    wanted: bool = True
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """The part's."""
        return self.part.name

    def signal(self, number: int) -> bool:
        """Send a signal; whether there was somebody to get it."""
        with suppress(PartFailed, ProcessLookupError):
            os.kill(self.part.pid, number)
            return True
        return False

    def memory(self) -> int:
        """Resident bytes; 0 where it doesn't run."""
        with suppress(PartFailed, OSError, IndexError):
            pages = Path(f"/proc/{self.part.pid}/statm").read_text().split()[1]
            return int(pages) * resource.getpagesize()
        return 0


class Fleet:
    """Kafka, ClickHouse, and workers of all roles in slots; each worker reaches both through links of its
    own.

    `correlate-0` and `store-0` and so on are the slots. A worker has its own folder for what it keeps on
    disk.
    """

    def __init__(self, folder: Path, workers: Mapping[str, int], partitions: int, standbys: int) -> None:
        """`workers` is how many of each role."""
        self._folder = folder
        self._slots = [slot for role, count in workers.items() for slot in _slots(role, count)]
        self._partitions = partitions
        self._standbys = standbys
        self._links: list[Link] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._over = False
        self.members: dict[str, Member] = {}
        self.killed: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()

    @property
    def workers(self) -> Iterator[Member]:
        """The members in slots."""
        return (member for member in self.members.values() if member.role in _ROLES)

    async def start(self) -> Settings:
        """Start everything and keep it running; the settings for who isn't under test."""
        ports = choose_ports(
            self._folder / "run" / "listeners.json", dict.fromkeys(["broker", *self._slots], 0)
        )
        to_kafka = {slot: await self._link(ports[slot]) for slot in self._slots}
        self.kafka = BrokerBehindLinks(
            self._folder,
            ports["broker"],
            {slot: Listener(ports[slot], link.port) for slot, link in to_kafka.items()},
        )
        self.clickhouse = ClickHouseServer(self._folder)
        for part in (self.kafka, self.clickhouse):
            self.members[part.name] = Member(part, part.name)
            await asyncio.to_thread(part.start)
            await asyncio.to_thread(part.wait_ready, _START_WITHIN)
        settings = self._settings = self._settings_by(self.kafka.port, self.clickhouse.port, self._folder)
        await ensure_topics(settings)
        await asyncio.to_thread(migrate, settings)
        for slot, link in to_kafka.items():
            self.members[slot] = self._worker(slot, link, await self._link(self.clickhouse.port))
        self._keeping = [asyncio.create_task(self._keep(member)) for member in self.members.values()]
        return settings

    async def _link(self, server_port: int) -> Link:
        link = await Link(server_port).start()
        self._links.append(link)
        return link

    def _worker(self, slot: str, to_kafka: Link, to_clickhouse: Link) -> Member:
        role, _, _ = slot.partition("-")
        settings = self._settings_by(to_kafka.port, to_clickhouse.port, self._folder / "workers" / slot)
        environment = role_environment(settings) | {"UPSHOT_STANDBY_REPLICAS": str(self._standbys)}
        environment["PYTHONPATH"] = str(_ROOT)
        part = ProcessPart(slot, role_command(role, _ROLES[role]), self._folder, environment)
        return Member(part, role, settings.data_dir, (to_kafka, to_clickhouse))

    def _settings_by(self, kafka_port: int, clickhouse_port: int, data_dir: Path) -> Settings:
        return Settings(
            kafka_url=f"127.0.0.1:{kafka_port}",
            clickhouse_url=SecretStr(local_url(LOCAL_USER, self.clickhouse.credentials.app, clickhouse_port)),
            data_dir=data_dir,
            partitions=self._partitions,
        )

    async def _keep(self, member: Member) -> None:
        """Start it again whenever it isn't there, as a supervisor would."""
        started = member.part.alive()
        while not self._over:
            async with member.busy:
                if member.wanted and not member.part.alive():
                    if started:
                        self.ended[f"{member.role} {member.part.last_end()}"] += 1
                    with suppress(PartFailed):  # such as a port not free yet: tried again
                        await asyncio.to_thread(member.part.start)
                        started = True
            await asyncio.sleep(_LOOK)

    def kill(self, name: str) -> bool:
        """SIGKILL it; whether it lived."""
        member = self.members[name]
        killed = member.signal(signal.SIGKILL)
        self.killed[member.role] += killed
        return killed

    async def remove(self, name: str) -> None:
        """End it cleanly and leave it away."""
        member = self.members[name]
        async with member.busy:
            member.wanted = False
            await asyncio.to_thread(member.part.stop, _STOP_WITHIN)

    async def wipe(self, name: str) -> bool:
        """Kill it and delete what it keeps on disk before it comes back."""
        member = self.members[name]
        assert member.state is not None
        async with member.busy:
            killed = self.kill(name)
            await asyncio.to_thread(member.part.kill)
            await asyncio.to_thread(shutil.rmtree, member.state, ignore_errors=True)
        return killed

    async def fill_disk(self, name: str) -> bool:
        """From now on its disk is full; whether there was somebody to notice."""
        if name == "clickhouse":
            return await asyncio.to_thread(refuse_rows, self._settings, full=True)
        with suppress(PartFailed, ProcessLookupError):
            limit_files(self.members[name].part.pid, full=True)
            return True
        return False

    async def make_room(self, name: str) -> None:
        """Its disk has room again."""
        told = name != "clickhouse"
        while not told:
            told = await asyncio.to_thread(refuse_rows, self._settings, full=False)
            await asyncio.sleep(_LOOK)
        with suppress(PartFailed, ProcessLookupError):
            limit_files(self.members[name].part.pid, full=False)

    def mend(self) -> None:
        """Everything is wanted, and nothing disturbs it."""
        for link in self._links:
            link.heal()
        for member in self.members.values():
            member.signal(signal.SIGCONT)
            member.wanted = True

    async def stop(self) -> None:
        """End everything."""
        self._over = True
        await asyncio.gather(*self._keeping)
        self.mend()
        workers = [member.part for member in self.workers]
        await asyncio.gather(*(asyncio.to_thread(part.stop, _STOP_WITHIN) for part in workers))
        for member in self.members.values():
            await asyncio.to_thread(member.part.stop, _STOP_WITHIN)
        for link in self._links:
            await link.stop()


def _slots(role: str, count: int) -> Iterable[str]:
    return [f"{role}-{number}" for number in range(count)]


__all__ = ["Fleet", "Member"]

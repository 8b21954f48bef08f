"""The real broker, with a further listener for each client that is to have a network of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from upshot.local.kafka import KafkaServer
from upshot.local.process import Launch

#: Where the broker says which generation of a group is complete.
_GROUP_LOG = """
logger.groups.name=org.apache.kafka.coordinator.group
logger.groups.level=info
"""
_COMPLETE = "Stabilized group "


class Listener(NamedTuple):
    """Where the broker listens, and where it says that it does."""

    port: int
    told: int


class BrokerBehindLinks(KafkaServer):
    """Kafka that listens once more for each name, and tells whoever connects there to go on using its link.

    A client that asks a broker where the partitions are is told an address. So that all of a client's
    connections run through its link, each link has a listener that is advertised at the link's port.
    """

    def __init__(self, data_dir: Path, port: int, listeners: Mapping[str, Listener]) -> None:
        super().__init__(data_dir, port)
        self._further = {name.upper().replace("-", "_"): listener for name, listener in listeners.items()}

    def prepare(self) -> Launch:
        launch = super().prepare()
        home = self.data_dir / "kafka"
        with (home / "server.properties").open("a") as properties:
            properties.write(self._listeners((home / "server.properties").read_text()))
        with (home / "log4j2.properties").open("a") as logging:
            logging.write(_GROUP_LOG)
        return launch

    def _listeners(self, properties: str) -> str:
        """The settings that were written, with the links' listeners added: of two lines the last counts."""
        settings = dict(line.split("=", 1) for line in properties.splitlines() if "=" in line)
        bound = [f"{name}://127.0.0.1:{listener.port}" for name, listener in self._further.items()]
        told = [f"{name}://127.0.0.1:{listener.told}" for name, listener in self._further.items()]
        added = {
            "listeners": [settings["listeners"], *bound],
            "advertised.listeners": [f"BROKER://{self.bootstrap}", *told],
            "listener.security.protocol.map": [
                settings["listener.security.protocol.map"],
                *(f"{name}:PLAINTEXT" for name in self._further),
            ],
        }
        return "".join(f"{name}={','.join(values)}\n" for name, values in added.items())

    def rebalances(self) -> int:
        """Generations of groups that were completed so far, by the broker's own log."""
        logs = [self.log.with_suffix(".log.1"), self.log]
        return sum(log.read_text(errors="replace").count(_COMPLETE) for log in logs if log.exists())


__all__ = ["BrokerBehindLinks", "Listener"]

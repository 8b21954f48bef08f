"""Two engines that are the shards of a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from upshot.local import confinement
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.process import Launch
from upshot.private_files import write_private

CLUSTER = "two"
_GRANTS = ("GRANT TABLE ENGINE ON Distributed", "GRANT READ, WRITE ON REMOTE", "GRANT CLUSTER ON *.*")


class Shard(ClickHouseServer):
    """An engine that knows the cluster, and may reach the other shards."""

    def __init__(self, data_dir: Path, ports: tuple[int, int], cluster: list[int], password: str) -> None:
        super().__init__(data_dir, *ports)
        self._cluster, self._password = cluster, password

    def prepare(self) -> Launch:
        launch = super().prepare()
        self._edit("config.xml", "</clickhouse>", f"{self._remote_servers()}</clickhouse>")
        grants = "".join(f"<query>{grant}</query>" for grant in _GRANTS)
        self._edit("users.xml", "<query>GRANT KILL QUERY ON *.*</query>", grants)
        # Confined, it could reach no other shard.
        free = self._home / "free.py"
        free.write_text("def confine(*given):\n    return ''\n")
        argv = [str(free) if one == confinement.__file__ else one for one in launch.argv]
        return replace(launch, argv=argv)

    def _remote_servers(self) -> str:
        shards = "".join(
            f"<shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host>"
            f"<port>{port}</port><user>app</user><password>{self._password}</password></replica></shard>"
            for port in self._cluster
        )
        return f"<remote_servers><{CLUSTER}>{shards}</{CLUSTER}></remote_servers>"

    def _edit(self, name: str, old: str, new: str) -> None:
        path = self._home / name
        write_private(path, path.read_text().replace(old, new))

    def _check_locks(self) -> None:
        """A shard reaches the network."""

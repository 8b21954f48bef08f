"""ClickHouse, the real engine with its HTTP and native listeners, as a part: from a Python package alone."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

from upshot.errors import PartFailed
from upshot.local import clickhouse_engine
from upshot.local.clickhouse_config import write_config
from upshot.local.ports import choose_ports
from upshot.local.process import Launch, ProcessPart
from upshot.settings import LOCAL_PASSWORD, LOCAL_USER, LOCAL_VIEWER

PINNED = "26.9.0"
"""The chdb-core that the undocumented entry was tried with."""
ANSWER_WITHIN = 5.0


class ClickHouseServer(ProcessPart):
    """Listens on 127.0.0.1 with the database `upshot`; the data is in `data_dir/clickhouse`.

    A port 0 is any free port, the same one after a restart where it is still free. Users: `app` with a
    password (see `upshot.settings`), and the read-only `viewer` without one. An acknowledged insert outlives
    kill -9.
    """

    def __init__(self, data_dir: Path, http_port: int = 0, tcp_port: int = 0) -> None:
        super().__init__("clickhouse", [], data_dir)
        self._home = self.data_dir / "clickhouse"
        self._wanted = {"http": http_port, "tcp": tcp_port}
        self._ports = dict(self._wanted)

    @property
    def http_port(self) -> int:
        """Known once it was started."""
        return self._ports["http"]

    @property
    def tcp_port(self) -> int:
        """The native protocol's port; known once it was started."""
        return self._ports["tcp"]

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self.http_port

    @property
    def url(self) -> str:
        """For clients that read and write; known once it was started."""
        return f"http://{LOCAL_USER}:{LOCAL_PASSWORD}@127.0.0.1:{self.http_port}/upshot"

    def prepare(self) -> Launch:
        extension = find_extension()
        self._home.mkdir(parents=True, exist_ok=True)
        # A restart keeps the ports that clients already know.
        self._ports = choose_ports(self._home / "ports.json", self._ports)
        write_config(self._home, http_port=self.http_port, tcp_port=self.tcp_port)
        engine = [sys.executable, "-I", "-S", clickhouse_engine.__file__]
        # It ignores the signals that end other programs; the end of its stdin ends it cleanly.
        return Launch([*engine, str(extension), str(self._data)], cwd=self._home, end="EOF")

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def ready(self) -> bool:
        """It answers a query, it is this server, not another program at the same port, and it keeps its rules."""
        status, answer = self._ask("SELECT value FROM system.server_settings WHERE name = 'path'", LOCAL_USER)
        if status != http.client.OK or answer.rstrip("\n/") != str(self._data):
            return False
        self._check_locks()
        return True

    def _check_locks(self) -> None:
        """Raise PartFailed and end the engine where it lets in whom it must not: a pin that drifted."""
        for user, sql in (("default", "SELECT 1"), (LOCAL_VIEWER, "SELECT file('config.xml')")):
            status, answer = self._ask(sql, user)
            if status == http.client.OK:
                self.kill()
                raise PartFailed(
                    f"clickhouse let {user} run `{sql}`, which the configuration forbids; it was ended. Install "
                    f"chdb-core=={PINNED} again, or use a ClickHouse server of your own (UPSHOT_CLICKHOUSE_URL)"
                )
            if not answer:
                raise PartFailed(f"clickhouse does not answer `{sql}` of {user}. {self.log_tail()}")

    def _ask(self, sql: str, user: str) -> tuple[int, str]:
        """Status and body; (0, "") when nothing answers in HTTP."""
        headers = {
            "X-ClickHouse-User": user,
            "X-ClickHouse-Key": LOCAL_PASSWORD if user == LOCAL_USER else "",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=ANSWER_WITHIN)
        try:
            connection.request("POST", "/", sql.encode(), headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()


def find_extension() -> Path:
    """The file of the pinned engine. Raises PartFailed when it is not installed, or another version is."""
    advice = f"install upshot[local], which pins chdb-core=={PINNED}; nothing was started"
    try:
        found = importlib.metadata.version("chdb-core")
    except importlib.metadata.PackageNotFoundError:
        raise PartFailed(f"the ClickHouse engine (chdb-core) is not installed: {advice}") from None
    if found != PINNED:
        raise PartFailed(f"chdb-core {found} is installed, which was never tried: {advice}")
    spec = importlib.util.find_spec("chdb")  # finds the package and does not import it
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = [file for folder in folders for file in Path(folder).glob("_chdb.abi3.so")]
    if not files:
        raise PartFailed(f"chdb-core has no _chdb.abi3.so here: {advice}")
    return files[0]


__all__ = ["PINNED", "ClickHouseServer", "find_extension"]

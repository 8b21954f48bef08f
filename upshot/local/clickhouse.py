"""The real ClickHouse engine as a component, with HTTP and native listeners: from a Python package alone."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from http.client import HTTPException
from pathlib import Path

from upshot.credentials import Credentials, make_credentials, read_credentials
from upshot.errors import PartFailed
from upshot.local import clickhouse_engine, confinement
from upshot.local.clickhouse_config import server_name, write_config
from upshot.local.clickhouse_locks import Server, open_locks
from upshot.local.ports import choose_ports
from upshot.local.process import Launch, ProcessPart
from upshot.private_files import close_tree, private_folder
from upshot.settings import LOCAL_USER, LOCAL_VIEWER, local_url

PINNED = "26.9.0"
"""The chdb-core that the undocumented entry was tried with."""
UNCONFINED = (
    "this system can't confine ClickHouse to its folder (Linux 5.13 or newer with Landlock can): who has the "
    "password of app can read the files of this account"
)


class ClickHouseServer(ProcessPart):
    """Listens on 127.0.0.1 with the database `upshot`; the data is in `data_dir/clickhouse`.

    Port 0 means any free port; a restart takes the same port again where still free. Users: `app`, and the
    read-only `viewer`, with the passwords of the data directory (see `upshot.credentials`). Both are confined
    to their databases: no files, no network, no web pages. An acknowledged insert outlives kill -9.
    """

    def __init__(self, data_dir: Path, http_port: int = 0, tcp_port: int = 0) -> None:
        super().__init__("clickhouse", [], data_dir)
        self._home = self.data_dir / "clickhouse"
        self._wanted = {"http": http_port, "tcp": tcp_port}
        self._ports = dict(self._wanted)
        #: A remark for people about this machine, once the server answered.
        self.warning = ""

    @property
    def http_port(self) -> int:
        """The HTTP port; known once the server was started."""
        return self._ports["http"]

    @property
    def tcp_port(self) -> int:
        """The native protocol's port; known once the server was started."""
        return self._ports["tcp"]

    @property
    def port(self) -> int:
        """The port of `url`."""
        return self.http_port

    @property
    def url(self) -> str:
        """For clients reading and writing; known once the server was started."""
        return local_url(LOCAL_USER, self.credentials.app, self.http_port)

    @property
    def viewer_url(self) -> str:
        """For clients that only read; known once the server was started."""
        return local_url(LOCAL_VIEWER, self.credentials.viewer, self.http_port)

    @property
    def credentials(self) -> Credentials:
        """The passwords; known once the server was started."""
        found = read_credentials(self.data_dir)
        if found is None:
            raise PartFailed(f"{self.data_dir} has no passwords of ClickHouse: start it once")
        return found

    def prepare(self) -> Launch:
        extension = find_extension()
        close_tree(self._home)  # as an earlier version left it
        private_folder(self._home)
        # A restart keeps the ports that clients already know.
        self._ports = choose_ports(self._home / "ports.json", self._ports)
        ports = self.http_port, self.tcp_port
        write_config(self._home, make_credentials(self.data_dir), http_port=ports[0], tcp_port=ports[1])
        engine = [sys.executable, "-I", "-S", clickhouse_engine.__file__, str(extension), str(self._data)]
        # The engine ignores the signals that end other programs; the end of stdin ends the engine cleanly.
        return Launch(
            [*engine, confinement.__file__, *map(str, ports)], cwd=self._home, end="EOF", ours=False
        )

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _server(self) -> Server:
        return Server("127.0.0.1", self.http_port, self.credentials)

    def ready(self) -> bool:
        """Whether this server, and no other program at the same port, answers a query and keeps its rules."""
        if read_credentials(self.data_dir) is None or self._server.name() != server_name(self._home):
            return False
        self._check_locks()
        return True

    def _check_locks(self) -> None:
        """End the engine and raise PartFailed where a lock lets a user through: the pinned engine drifted."""
        try:
            found = open_locks(self._server, self.data_dir)
        except (OSError, HTTPException) as error:
            raise PartFailed(f"clickhouse does not answer ({error}). {self.log_tail()}") from None
        self.warning = UNCONFINED if any(lock.is_kernels for lock in found) else ""
        if wrong := [lock for lock in found if not lock.is_kernels]:
            self.kill()
            raise PartFailed(
                f"clickhouse let {wrong[0].who} {wrong[0].what}, which the configuration forbids; it was "
                f"ended. Install chdb-core=={PINNED} again, or use a ClickHouse server of your own "
                "(UPSHOT_CLICKHOUSE_URL)"
            )


def find_extension() -> Path:
    """The file of the pinned engine. Raises PartFailed when the engine is missing or has another version."""
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


__all__ = ["PINNED", "UNCONFINED", "ClickHouseServer", "find_extension"]

"""Whether the local ClickHouse confines its users: checked at each start, and by `upshot doctor`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import OK, HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from upshot.credentials import FILE_NAME, Credentials
from upshot.local.clickhouse_users import BEYOND
from upshot.settings import LOCAL_USER, LOCAL_VIEWER

ANSWER_WITHIN = 5.0
#: The origin of a page opened from another server.
_PAGE = {"Origin": "http://upshot.invalid", "Sec-Fetch-Site": "cross-site"}
_EXCEPTION = "X-ClickHouse-Exception-Code"
#: The codes of a refusal: ACCESS_DENIED, SETTING_CONSTRAINT_VIOLATION, QUERY_IS_PROHIBITED,
#: PY_EXCEPTION_OCCURED (our function in the place of theirs). Any other error is no proof of a lock.
_REFUSALS = frozenset({497, 452, 392, 800})
#: CANNOT_OPEN_FILE: how the kernel's refusal looks.
_NOT_OPENED = frozenset({*_REFUSALS, 76})

_SQL: Mapping[str, str] = {
    "read files by file()": "SELECT * FROM file('{file}', 'LineAsString', 'l String')",
    "read files by the function file()": "SELECT file('{file}')",
    "read files by name": "SELECT * FROM default.`{file}`",
    "write files": "INSERT INTO FUNCTION file('{file}.probe', 'LineAsString', 'l String') VALUES ('')",
    "write files by a format": "SELECT 1 FORMAT Protobuf SETTINGS output_format_schema = '{file}.probe'",
    "read files by a format": "SELECT 1 FORMAT Template SETTINGS format_template_row = '{file}'",
    "run programs": "SELECT * FROM executable('true', 'TSV', 'l String')",
    "reach the network by url()": "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString', 'l String')",
    "reach the network by remote()": "SELECT * FROM remote('127.0.0.1:1', 'system', 'one')",
    (
        "reach the network by s3()"
    ): "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'LineAsString', 'l String')",
    "reach the network by a format": "SELECT 1 SETTINGS format_avro_schema_registry_url = 'http://127.0.0.1:1/'",
    "answer web pages": "SELECT 1 SETTINGS add_http_cors_header = 1",
    "read the list of users": "SELECT name FROM system.users",
}
_OF_APP: Mapping[str, str] = {
    "make databases of files": "CREATE DATABASE upshot_probe ENGINE = Filesystem('/')",
    "make other databases": "CREATE DATABASE probe_of_upshot",
    (
        "make tables of addresses"
    ): "CREATE TEMPORARY TABLE p (l String) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
    "keep tables elsewhere": "CREATE TEMPORARY TABLE p (l String) ENGINE = MergeTree ORDER BY l "
    "SETTINGS disk = disk(type = web, endpoint = 'http://127.0.0.1:1/')",
}
#: Access to a file outside of the engine's folder, refused by no grant and no setting, but by the kernel.
_INFILE = "INSERT INTO FUNCTION null('l String') FROM INFILE '{file}' FORMAT LineAsString"


class Open(NamedTuple):
    """An open lock: `who` may do `what`. `is_kernels`: only the kernel can keep this lock, if at all."""

    who: str
    what: str
    is_kernels: bool = False


@dataclass(frozen=True)
class Server:
    """The engine's address, and its passwords."""

    host: str
    port: int
    credentials: Credentials

    def name(self) -> str:
        """The server's name from the answer to a query of `app`; empty where none, or another, answers."""
        try:
            with closing(self._connection()) as connection:
                connection.request("POST", "/", b"SELECT 1", self._as(LOCAL_USER))
                response = connection.getresponse()
                response.read()
                right = response.status == OK
                return response.getheader("X-ClickHouse-Server-Display-Name", "") if right else ""
        except (OSError, HTTPException):
            return ""

    def refuses(self, user: str, sql: str, codes: Collection[int] = _REFUSALS) -> bool:
        """Whether the server refuses the query for want of a right. A long-running query isn't refused."""
        try:
            status, code, _ = self.ask("POST", "/", sql, self._as(user))
        except TimeoutError:
            return False
        return status != OK and code in codes

    def lets_in(self, user: str) -> bool:
        """Whether a user gets in without a password."""
        status, code, _ = self.ask("POST", "/", "SELECT 1", {"X-ClickHouse-User": user})
        return status == OK or not code

    def answers_pages(self, user: str, method: str) -> bool:
        """Whether a page with the password would get anything but a refusal, or leave to send requests."""
        password = self.credentials.app if user == LOCAL_USER else self.credentials.viewer
        path = "/?" + urlencode({"user": user, "password": password, "query": "SELECT 1"})
        status, _, headers = self.ask(method, path, "", _PAGE | {"Access-Control-Request-Method": "POST"})
        return status < 400 or any(name.lower() == "access-control-allow-origin" for name in headers)

    def ask(
        self, method: str, path: str, body: str, headers: Mapping[str, str]
    ) -> tuple[int, int, Mapping[str, str]]:
        """Status, the exception's code or 0, headers. Raises OSError or HTTPException without an answer."""
        with closing(self._connection()) as connection:
            connection.request(method, path, body.encode(), dict(headers))
            response = connection.getresponse()
            response.read()
            return response.status, int(response.getheader(_EXCEPTION, "0")), dict(response.getheaders())

    def _as(self, user: str) -> dict[str, str]:
        password = self.credentials.app if user == LOCAL_USER else self.credentials.viewer
        return {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(self.host, self.port, timeout=ANSWER_WITHIN)


def open_locks(server: Server, data_dir: Path) -> list[Open]:
    """The locks found open, among the known. Raises OSError or HTTPException where no server answers."""
    return list(_open(server, data_dir))


def _open(server: Server, data_dir: Path) -> Iterator[Open]:
    for user in ("default", LOCAL_USER, LOCAL_VIEWER):
        if server.lets_in(user):
            yield Open(user, "in without a password")
    # In its own folder, where the kernel lets the engine read: the locks of SQL are looked at alone.
    own = _quoted(data_dir / "clickhouse" / "config.xml")
    for user, probes in ((LOCAL_USER, {**_SQL, **_OF_APP}), (LOCAL_VIEWER, _SQL)):
        for what, sql in probes.items():
            if not server.refuses(user, sql.replace("{file}", own)):
                yield Open(user, what)
        for setting in BEYOND:
            value = "{'a': 'b'}" if setting == "http_response_headers" else "'1'"
            if not setting.startswith("merge_tree_") and not server.refuses(user, f"SET {setting} = {value}"):
                yield Open(user, f"change {setting}")
        for method in ("GET", "POST", "OPTIONS"):
            if server.answers_pages(user, method):
                yield Open(user, f"be called by web pages ({method})")
        infile = _INFILE.replace("{file}", _quoted(data_dir / FILE_NAME))
        if not server.refuses(user, infile, _NOT_OPENED):
            yield Open(user, "read files by INSERT … FROM INFILE", is_kernels=user == LOCAL_USER)


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "\\'").replace("`", "\\`")


__all__ = ["Open", "Server", "open_locks"]

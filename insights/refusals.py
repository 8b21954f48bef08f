"""ClickHouse's refusals as our exceptions: ClickHouse's own first line, and advice."""

from __future__ import annotations

import re

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.plain_text import plain

_CODE = re.compile(r"Code: (\d+)\.")
#: What ClickHouse and the driver put after the text in brackets.
_TRAILERS = ("(version ", "(for url ")
_STACK = "Stack trace"
_MEMORY = 241
_FULL = "the server's memory is taken by other work at the moment: ask again, or for less"
#: After a syntax error ClickHouse lists every word that could stand there.
_GUESSES, _AFTER_GUESSES = ". Expected one of: ", "(SYNTAX_ERROR)"

#: Codes with which ClickHouse turns everybody away, or this user.
_TURNED_AWAY = {
    192: "check the user in UPSHOT_CLICKHOUSE_URL",
    193: "check the password in UPSHOT_CLICKHOUSE_URL",
    194: "give a password in UPSHOT_CLICKHOUSE_URL",
    195: "this user may not connect from here: check UPSHOT_CLICKHOUSE_URL",
    202: "it has too much to do: ask again in a moment",
    516: "check user and password in UPSHOT_CLICKHOUSE_URL",
}

#: What keeps a query small.
NARROWER = (
    "ask for a shorter time, one name, agent or experiment (WHERE started_at >= … AND name = …, on "
    "scored_runs, score_rows, exposure_rows or open_waits), or for fewer columns"
)

_ADVICE = {
    47: "`DESCRIBE TABLE` lists the columns of a table",
    60: "`SHOW TABLES` lists the tables; a new database gets them by `upshot migrate`",
    62: "correct the SQL",
    81: "create it by `upshot migrate`, or correct UPSHOT_CLICKHOUSE_URL",
    50: (
        "types that exist: String, Bool, Int64, UInt64, Float64, Date, DateTime64(6, 'UTC'), Array(String), "
        "Nullable(…)"
    ),
    158: f"it reads too many rows: {NARROWER}",
    159: f"it took too long, and was stopped at its time limit: {NARROWER}",
    160: f"it would take too long, beyond its time limit: {NARROWER}",
    164: "only reading is allowed here",
    241: f"it needs too much memory, and was stopped at its limit: {NARROWER}",
    307: f"it reads too much: {NARROWER}",
    396: f"its answer is too long: {NARROWER}",
    456: "give every parameter a value",
    457: "give the parameter a value of its type",
    497: "this user may not do that: only reading the tables is allowed here",
}


def refusal(text: str) -> QueryFailed | ClickHouseUnavailable:
    """The exception for an error message of ClickHouse."""
    code = code_of(text)
    message = first_line(text)
    if code in _TURNED_AWAY:
        return ClickHouseUnavailable(f"ClickHouse refuses the connection: {message}; {_TURNED_AWAY[code]}")
    advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
    if code == _MEMORY and "(total)" in message:
        return QueryFailed(f"ClickHouse refused the query: {message}; {_FULL}")
    return QueryFailed(f"ClickHouse refused the query: {message}{advice}")


def code_of(text: str) -> int:
    """The number of ClickHouse's error, 0 where there is none."""
    found = _CODE.search(text)
    return int(found[1]) if found else 0


def first_line(text: str) -> str:
    """ClickHouse's own first line, without codes, traces and versions; quoted data is made harmless."""
    own = text.partition("DB::Exception: ")[2] or text
    line = own.partition(_STACK)[0].strip().partition("\n")[0].rstrip()
    for trailer in _TRAILERS:
        before, found, _ = line.rpartition(trailer)
        if found and line.endswith(")"):
            line = before.rstrip()
    before, found, guesses = line.partition(_GUESSES)
    if found:
        _, code, rest = guesses.partition(_AFTER_GUESSES)
        line = f"{before}. {code}{rest}"
    return plain(line.strip().rstrip(".")[:1000])


def parted(end: bytes, tag: str | None, broken: bool) -> tuple[bytes, str]:
    """The end of an answer without the error possibly appended by ClickHouse; and the error.

    `tag` is the announced mark of errors; before 25.11 errors stood unmarked in a `broken` answer.
    """
    if tag:
        at = end.rfind(f"__exception__\r\n{tag}\r\n".encode())
    else:
        at = end.rfind(b"Code: ") if broken and b"DB::Exception: " in end else -1
    if at < 0:
        return end, ""
    message = end[at:].decode("utf-8", "replace")
    return end[:at].rstrip(b"\r\n"), message[max(0, message.rfind("Code: ")) :]


__all__ = ["NARROWER", "code_of", "first_line", "parted", "refusal"]

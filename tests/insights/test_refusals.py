"""ClickHouse's messages, taken apart."""

from __future__ import annotations

import pytest

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.insights.refusals import first_line, parted, refusal


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR) (version 26.9.2.1)",
            "Empty query. (SYNTAX_ERROR)",
        ),
        (
            "Code: 60. DB::Exception: Unknown table x. (UNKNOWN_TABLE) (version 25.8.1.1 (official build))\n",
            "Unknown table x. (UNKNOWN_TABLE)",
        ),
        (
            "Code: 62. DB::Exception: Syntax error: failed at position 8 (FROM). Expected one of: a, b (c), "
            "d. (SYNTAX_ERROR) (version 26.9.2.1)",
            "Syntax error: failed at position 8 (FROM). (SYNTAX_ERROR)",
        ),
        ("Code: 1. DB::Exception: It broke. Stack trace:\n\n0. main", "It broke"),
        ("Code: 1. DB::Exception: two\nlines", "two"),
        ("no message of ClickHouse's", "no message of ClickHouse's"),
        ("", ""),
    ],
)
def test_first_line(text: str, line: str) -> None:
    assert first_line(text) == line


def test_who_is_turned_away_reads_where_to_look() -> None:
    refused = refusal("Code: 516. DB::Exception: app: Authentication failed. (AUTHENTICATION_FAILED)")
    assert isinstance(refused, ClickHouseUnavailable)
    assert "check user and password in UPSHOT_CLICKHOUSE_URL" in str(refused)


def test_an_unknown_code_is_a_refused_query() -> None:
    refused = refusal("Code: 9999. DB::Exception: Something new. (NEW)")
    assert isinstance(refused, QueryFailed)
    assert str(refused) == "ClickHouse refused the query: Something new. (NEW)"


SAID = "Code: 395. DB::Exception: It went wrong. (SOMETHING)"


@pytest.mark.parametrize(
    ("end", "tag", "broken", "answer", "said"),
    [
        (b"1\n2\n", "tag", False, b"1\n2\n", ""),
        (b"1\n2\n", None, False, b"1\n2\n", ""),
        (
            b"1\n\r\n__exception__\r\ntag\r\n" + SAID.encode() + b"\n53 tag\r\n__exception__\r\n",
            "tag",
            True,
            b"1",
            SAID,
        ),
        (b"1\n" + SAID.encode(), None, True, b"1", SAID),
        # Rows that tell of errors are no errors.
        (SAID.encode(), None, False, SAID.encode(), ""),
        (SAID.encode(), "tag", True, SAID.encode(), ""),
    ],
)
def test_an_answer_is_parted_from_the_error_after_it(
    end: bytes, tag: str | None, broken: bool, answer: bytes, said: str
) -> None:
    found = parted(end, tag, broken)
    assert found[0] == answer
    assert found[1].startswith(said) and bool(found[1]) == bool(said)

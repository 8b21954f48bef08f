"""CSV without formulas, whatever the cells and wherever the blocks are cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import QueryFailed
from upshot.insights.cells import is_formula, without_formulas
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.settings import Settings

FORMULAS = [
    "=1+1",
    "=cmd|'/c calc'!A1",
    "@SUM(1+1)*cmd",
    "+1+1",
    "-2+3+cmd",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    "+49 30 123",
    "-",
]
TEXTS = ["", "a=b", "-1.5", "+1", "-1e9", "-1,500.25", "+12.5%", "-.5", "a-b", "'=1", '"=1"', "[=1]"]


@pytest.mark.parametrize("text", FORMULAS[:-1])
def test_formulas(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize("text", [*TEXTS, FORMULAS[-1]])
def test_what_is_none(text: str) -> None:
    assert not is_formula(text)


def written(rows: list[list[str | float]]) -> bytes:
    """As ClickHouse does: text in quotes, numbers bare."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


CELL = st.one_of(
    st.sampled_from([*FORMULAS, *TEXTS]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=6), st.lists(st.integers(1, 9), max_size=30))
def test_each_cell_is_itself_or_quoted(rows: list[list[str | float]], sizes: list[int]) -> None:
    changed = b"".join(without_formulas(cut(written(rows), sizes)))
    expected = [[f"'{c}" if isinstance(c, str) and is_formula(c) else c for c in row] for row in rows]
    assert changed == written(expected)


def test_what_came_before_an_error_is_given() -> None:
    def blocks() -> Iterator[bytes]:
        yield b'"a"\n"=1"\n"b'
        raise QueryFailed("broken")

    came = b""
    with pytest.raises(QueryFailed):
        for piece in without_formulas(blocks()):
            came += piece
    assert came == b'"a"\n"\'=1"\n"b'


@pytest.mark.stack
def test_the_engines_csv(empty: Reader) -> None:
    sql = "SELECT '=1' AS \"=name\", -1.5 AS n, '-1.5' AS m, ['=x'] AS list, 'a\n=1' AS lines, NULL AS none"
    changed = b"".join(empty.stream(sql, "csv", exact=False)).decode()
    names, row = csv.reader(io.StringIO(changed, newline=""))
    assert names == ["'=name", "n", "m", "list", "lines", "none"]
    assert row == ["'=1", "-1.5", "-1.5", "['=x']", "a\n=1", r"\N"]
    exact = b"".join(empty.stream(sql, "csv")).decode()
    assert exact == changed.replace("'=name", "=name").replace('"\'=1"', '"=1"')
    own = b"".join(empty.stream("SELECT '=1' AS a FORMAT JSONEachRow", "csv", exact=False))
    assert own == b'{"a":"=1"}\n'


@pytest.mark.stack
def test_a_long_answer_is_given_up(clickhouse: ClickHouseServer) -> None:
    reader = Reader(Settings.model_validate({"clickhouse_url": clickhouse.url}), answer_bytes=2**20)
    assert len(reader.query("SELECT number FROM numbers(1000)").rows) == 1000
    with pytest.raises(QueryFailed, match=r"longer than 1 MiB.*LIMIT.*jsonl"):
        reader.query("SELECT repeat('x', 1000) FROM numbers(1000000000)")
    came = 0
    for piece in reader.stream("SELECT repeat('x', 1000) FROM numbers(10000)", "jsonl"):
        came += len(piece)
    assert came > 10_000_000

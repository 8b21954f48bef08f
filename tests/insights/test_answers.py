"""`upshot.query` on the real engine, as a notebook uses it."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import upshot
from tests.insights.conftest import is_running, settings_of, until
from upshot.errors import ConfigurationError, QueryFailed
from upshot.local.clickhouse import ClickHouseServer

TEN = "SELECT number AS n, toString(number) AS text FROM numbers({limit:UInt32})"


@pytest.fixture
def stack(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_of(clickhouse, "upshot")
    monkeypatch.setenv("UPSHOT_CLICKHOUSE_URL", clickhouse.viewer_url)


@pytest.mark.stack
@pytest.mark.usefixtures("stack")
class TestAnswers:
    def test_frames_and_rows_say_the_same(self) -> None:
        answer = upshot.query(TEN, limit=3)
        rows = [{"n": n, "text": str(n)} for n in range(3)]
        assert answer.to_arrow().to_pylist() == rows == answer.to_dicts() == list(answer)
        assert answer.to_pandas().to_dict("records") == rows

    def test_polars(self) -> None:
        assert upshot.query(TEN, limit=3).to_polars()["n"].to_list() == [0, 1, 2]

    def test_a_long_answer_comes_in_blocks(self) -> None:
        answer = upshot.query(TEN, limit=1_000_000)
        assert sum(len(block) for block in answer.blocks()) == 1_000_000
        assert sum(row["n"] for row in islice(answer, 10)) == 45

    def test_leaving_an_endless_answer_ends_the_query(self, clickhouse: ClickHouseServer) -> None:
        blocks = upshot.query("SELECT number AS left_early FROM numbers(1e13)").blocks()
        assert next(blocks).num_rows > 0
        assert is_running(clickhouse, "left_early")
        blocks.close()  # type: ignore[attr-defined]
        until(lambda: not is_running(clickhouse, "left_early"))

    def test_a_named_query(self) -> None:
        assert upshot.query(named="latest-scores", limit=1).to_arrow().num_rows <= 1

    def test_the_representation_shows_rows(self) -> None:
        shown = repr(upshot.query(TEN, limit=20))
        assert shown.startswith("<upshot.query SELECT number AS n") and shown.endswith("… and more rows")
        assert "\nn  text\n0  0\n1  1\n" in shown
        assert repr(upshot.query(TEN, limit=2)).endswith("2 rows")

    def test_the_representation_of_a_refused_query_says_why(self) -> None:
        assert "nowhere" in repr(upshot.query("SELECT * FROM nowhere"))

    def test_a_refused_query(self) -> None:
        with pytest.raises(QueryFailed, match=r"views: .*score_rows"):
            upshot.query("SELECT * FROM nowhere").to_pandas()

    def test_limits(self) -> None:
        with pytest.raises(QueryFailed, match="time limit"):
            upshot.query("SELECT sum(cityHash64(number)) FROM numbers(1e13)", time_limit=1).to_arrow()

    @pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"), ("to_polars", "polars")])
    def test_an_absent_package(self, method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ConfigurationError, match=f"pip install {package}"):
            getattr(upshot.query("SELECT 1"), method)()


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no named query 'latest-score', perhaps latest-scores"):
        upshot.query(named="latest-score")
    with pytest.raises(ConfigurationError, match=r"no parameter limt \(perhaps limit\).*limit \(UInt32\)"):
        upshot.query(TEN, limt=3)
    with pytest.raises(ConfigurationError, match="either SQL or named"):
        upshot.query()
    with pytest.raises(ConfigurationError, match="upshot up --data-dir"):
        upshot.query("SELECT 1", data_dir=tmp_path)
    with pytest.raises(AttributeError, match="perhaps to_pandas"):
        upshot.query("SELECT 1").to_panda  # noqa: B018


def test_the_import_is_light() -> None:
    code = (
        "import sys, upshot; upshot.query; "
        "print({'clickhouse_connect', 'pandas', 'pyarrow', 'faust', 'aiokafka'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

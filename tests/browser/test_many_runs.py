"""Every page with 200,000 runs: it opens, shows what was filled, leads on, and reads no more than it must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet
import pytest
from playwright.sync_api import Page

from benchmarks.insights.data import EXPERIMENT
from tests.browser.many import MANY, many_runs
from tests.browser.seeing import faults, fetched_json, see
from tests.upshot_process import WholeStack
from upshot.insights.pages.run import (
    exposures_query,
    followups_query,
    outcomes_query,
    revisions_query,
    steps_query,
    waits_query,
)
from upshot.insights.pages.subjects import any_query, subject_outcomes, subject_scores, subject_waits
from upshot.processors.store.connection import connect

pytestmark = pytest.mark.stack
#: Characters of the largest page; rows that the query of one thing may read, with room for the mistakes of a
#: Bloom filter.
PAGE_BYTES, FEW_ROWS = 600_000, MANY // 2
COMPARED = f"/experiments/{EXPERIMENT}?control=control&decide=merged:rate:P14D"


@pytest.fixture(scope="module")
def many(site: WholeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    with many_runs(site, tmp_path_factory.mktemp("many")) as stack:
        yield stack


def paths_of(stack: WholeStack) -> list[str]:
    """Every page, those of one thing about the first that its list has."""
    run = fetched_json(stack, "/runs.json")["runs"][0]
    wait = fetched_json(stack, "/waits.json")["waits"][0]
    return [
        "/",
        "/runs",
        f"/runs?agent={run['agent']}&status=completed&attr.segment=team&score=merged:true",
        f"/runs?variant={EXPERIMENT}:short&since=2026-11-01",
        f"/runs/{run['run_id']}",
        f"/subjects/{quote(wait['subject'], safe='')}",
        "/waits",
        "/waits?state=overdue",
        "/scores",
        "/scores/merged",
        "/scores/quality?by=model",
        "/experiments",
        COMPARED,
        COMPARED.replace("?", "/units?"),
        "/alerts",
        "/alerts/rules",
        "/alerts/notices",
        "/insights/scores-by-agent",
        "/dead-letters",
        "/system",
        "/runs/nobody",
    ]


def test_every_page_opens(many: WholeStack, page: Page) -> None:
    for path in paths_of(many):
        see(page, many, path)
        assert faults(page) == [], path
        assert len(page.content()) < PAGE_BYTES, path


def test_pages_show_what_was_filled(many: WholeStack) -> None:
    client = connect(many.settings)

    def stored(sql: str) -> int:
        return int(str(client.command(sql)))

    home, runs = fetched_json(many, "/index.json"), fetched_json(many, "/runs.json")
    assert home["counts"]["runs"] == runs["total"] == MANY
    waits = fetched_json(many, "/waits.json")
    assert waits["counts"]["open"] == home["counts"]["open_waits"] == stored("SELECT count() FROM open_waits")
    scored = {row["name"]: int(row["scored"]) for row in fetched_json(many, "/scores.json")["scores"]}
    for name in ("merged", "quality"):
        assert scored[name] == stored(f"SELECT count() FROM current_scores WHERE name = '{name}'")
    found = fetched_json(many, COMPARED.replace("?", ".json?"))
    exposed = stored(f"SELECT uniqExact(run_id) FROM exposures WHERE experiment = '{EXPERIMENT}'")
    assert exposed == sum(arm["exposed"] for arm in found["results"]["metrics"][0]["arms"])


def test_a_list_leads_to_its_last_row(many: WholeStack, page: Page) -> None:
    see(page, many, "/runs?attr.customer=customer-77")
    seen: list[str] = []
    while True:
        seen += [str(each.get_attribute("title")) for each in page.locator("td a.id[href^='/runs/']").all()]
        further = page.get_by_role("link", name="further runs")
        if not further.count():
            break
        further.click()
    of_customer = "SELECT run_id FROM runs WHERE attributes['customer'] = 'customer-77'"
    stored = [run for (run,) in connect(many.settings).query(of_customer).result_rows]
    assert len(seen) == len(stored) > 50
    assert set(seen) == set(stored)


def test_a_click_on_further_shows_other_rows(many: WholeStack, page: Page) -> None:
    for path, what in (("/runs", "runs"), ("/waits", "waits")):
        see(page, many, path)
        screens = []
        for _ in range(3):
            screens.append([each.get_attribute("href") for each in page.locator("tbody a.id").all()])
            page.get_by_role("link", name=f"further {what}").click()
            page.wait_for_load_state()
        assert len({each for screen in screens for each in screen}) == sum(len(set(each)) for each in screens)


@pytest.mark.parametrize("format", ["CSV", "JSON lines", "Arrow", "Parquet"])
def test_all_rows_are_downloaded(many: WholeStack, page: Page, tmp_path: Path, format: str) -> None:
    see(page, many, "/runs?agent=agent-3&status=failed")
    told = int(page.locator("h1 small").inner_text().replace(",", ""))
    with page.expect_download() as download:
        page.get_by_role("link", name=format, exact=True).click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    rows = table_of(file)
    assert rows.num_rows == told > 500, "all rows of the filter, not one screen"
    assert set(rows.column("agent").to_pylist()) == {"agent-3"}
    assert len(set(rows.column("run_id").to_pylist())) == told


def table_of(file: Path) -> pyarrow.Table:
    """The rows of a download, by the ending of its name."""
    match file.suffix:
        case ".csv":
            return pyarrow.csv.read_csv(file)
        case ".jsonl":
            return pyarrow.json.read_json(file)
        case ".arrow":
            with pyarrow.ipc.open_stream(file.read_bytes()) as stream:
                return stream.read_all()
        case _:
            return pyarrow.parquet.read_table(file)


def test_results_of_many_exposures_are_kept(many: WholeStack) -> None:
    path = COMPARED.replace("?", ".json?")
    first, second = (fetched_json(many, path) for _ in range(2))
    assert first["as_of"] == second["as_of"] and first["results"] == second["results"]
    assert fetched_json(many, f"{path}&as_of=2026-11-01")["as_of"].startswith("2026-11-01T00:00:00")
    units = [fetched_json(many, path.replace(".json?", "/units.json?")) for _ in range(2)]
    assert units[0]["units"] and units[0] == units[1]


def test_a_run_and_a_subject_read_few_rows(many: WholeStack) -> None:
    """A table has 200,000 rows and more: what one page shows is found by an index."""
    client = connect(many.settings)
    run = fetched_json(many, "/runs.json?until=2026-10-01")["runs"][0]["run_id"]
    subject = fetched_json(many, f"/runs/{run}.json")["waits"][0]["subject"]
    queries = {
        "steps": steps_query(run),
        "waits": waits_query(run),
        "revisions": revisions_query(run),
        "exposures": exposures_query(run),
        "follow-ups": followups_query(run),
        "outcomes": outcomes_query([subject]),
        "waits of the subject": subject_waits(subject),
        "outcomes of the subject": subject_outcomes(subject),
        "scores of the subject": subject_scores(subject),
        "any id": any_query(run),
    }
    read = {
        name: int(client.query(query.sql, parameters=dict(query.parameters)).summary["read_rows"])
        for name, query in queries.items()
    }
    assert {name: rows for name, rows in read.items() if rows > FEW_ROWS} == {}

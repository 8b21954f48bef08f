"""Every page in a real Chromium, empty and with data: seen, typed into, read by a screen reader's rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.seeing import address, all_at_once, faults, fetched, fetched_json, see
from tests.browser.story import HOSTILE, RUNS, post
from tests.upshot_process import ANSWER, WholeStack
from upshot.insights.pages.run import MOST_EXPOSURES

pytestmark = pytest.mark.stack

PLACES = ("/", "/runs", "/experiments", "/scores", "/waits", "/alerts", "/alerts/rules", "/alerts/receivers",
          "/alerts/notices", "/insights", "/dead-letters", "/system", "/api", "/zone", "/login")  # fmt: skip
#: These pages are the same with and without data.
UNCHANGING = {"/api", "/zone", "/login"}
FULL = (
    *PLACES,
    "/runs/run-001?step=s3&io=1",
    "/runs?score=merged:true&agent=writer&since=30d",
    "/subjects/pr:4",
    "/scores/merged",
    "/scores/judge?by=model",
    "/scores/merged?as_of=1h",
    "/experiments/tone?control=plain&decide=merged:rate:P7D",
    "/experiments/tone/units?control=plain&decide=merged:rate:P7D&state=mature",
    "/insights/scores-by-agent",
    "/insights?sql=SELECT%20name,%20count()%20FROM%20scores%20GROUP%20BY%20name&run=1",
    "/nothing/here",
    "/runs/nobody",
)
#: Hostile texts whose pages are opened: a script, 200 characters without a space, and from right to left.
SEEN_IN_FULL = (0, 8, len(HOSTILE) - 1)
#: Characters that would turn or hide the text around them.
TURNING = set("\u202e\u2066\u200b\u2028\x1b\u200f\u202b")


def test_every_page_is_there_while_nothing_was_sent(site: WholeStack, page: Page) -> None:
    for path in set(PLACES) - UNCHANGING:
        see(page, site, path)
        assert faults(page) == [], path
    see(page, site, "/")
    assert page.get_by_text("Nothing was sent yet").is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_every_page_with_data(full: WholeStack, page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in FULL:
        see(page, full, path)
        assert faults(page, *(() if scheme == "light" else ("color-contrast",))) == [], path


def test_every_page_works_without_scripts(full: WholeStack, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(full, "/"))
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_label("Score").fill("merged:false")
    page.get_by_role("button", name="Filter").click()
    assert "score=merged%3Afalse" in page.url
    page.locator("tbody a.id").first.click()
    page.get_by_role("link", name="draft").click()
    expect(page.locator("#step")).to_contain_text("the first 65,536 characters shown")
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_runs_are_filtered_by_an_attribute(full: WholeStack, browser: Browser, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    page.goto(address(full, "/runs?agent=writer"))
    names = (
        page.locator("#attribute-names option").evaluate_all("all => all.map(each => each.value)")
        if scripts
        else ["tier"]
    )
    assert "tier" in names
    page.get_by_label("Attribute").fill("tier")
    page.get_by_label("is", exact=True).fill("pro")
    page.get_by_role("button", name="Filter").click()
    assert "attr.tier=pro" in page.url and "agent=writer" in page.url and "attribute=" not in page.url
    assert page.locator(".wide tbody tr").count() == RUNS // 2
    assert page.get_by_label("tier").input_value() == "pro", "the condition is a field of its own"
    page.get_by_label("Attribute").fill("language")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("needs its name and its value")).to_be_visible()
    context.close()


def test_an_attribute_of_the_form_narrows_json_and_exports(full: WholeStack) -> None:
    found = fetched_json(full, "/runs.json?attribute=tier&value=pro")
    assert found["total"] == RUNS // 2
    _, rows = fetched(full, "/runs?attribute=tier&value=pro&format=jsonl")
    assert len(rows.splitlines()) == RUNS // 2


def test_names_that_look_like_steps_in_the_tree_have_pages(full: WholeStack, page: Page) -> None:
    now = datetime.now(UTC).isoformat()
    names = (".", "..", "~.", "~..")
    runs = [{"run_id": name, "agent": "stepper", "started_at": now} for name in names]
    post(full.ports["web"], "runs", runs)
    post(
        full.ports["web"], "outcomes", [{"type": "pr.viewed", "subject": name, "id": name} for name in names]
    )
    post(full.ports["web"], "scores", [{"run_id": name, "name": name, "value": 0.5} for name in names])
    full.eventually("SELECT count() AS n FROM scored_runs WHERE agent = 'stepper'", [{"n": len(names)}])
    full.eventually("SELECT count() AS n FROM score_rows WHERE name = run_id", [{"n": len(names)}])
    for name in names:
        see(page, full, "/runs?agent=stepper")
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.locator("h1")).to_have_text(name)
        page.get_by_role("main").get_by_role("link", name=name, exact=True).first.click()
        expect(page.get_by_text("Last decided")).to_be_visible()
        page.locator(".find input").fill(name)
        page.keyboard.press("Enter")
        page.wait_for_url("**/r?id=*")
        page.locator("main li", has_text="subject").get_by_role("link").click()
        expect(page.locator("h1")).to_have_text(name)
        page.get_by_role("link", name="JSON", exact=True).click()
        assert f'"subject": "{name}"' in page.content()


def _hostile_places(place: int, text: str) -> list[str]:
    """The pages about things with this text in their names."""
    run, name = quote(f"h{place} {text}", safe=""), quote(f"g{place} {text[:190]}", safe="")
    experiment = f"/experiments/{quote(f'e{place} {text[:190]}', safe='')}"
    return [
        f"/runs/{run}?step={quote(text, safe='')}",
        f"/subjects/{quote('s:' + text, safe='')}",
        f"/scores/{name}",
        f"{experiment}?segment={quote(text, safe='')}",
        f"{experiment}/units",
    ]


def test_hostile_texts_stay_texts(full: WholeStack, page: Page) -> None:
    """On a phone: no text runs, turns its surroundings, or makes a page wider than the screen."""
    seen = ["/", "/runs", "/waits", "/scores", "/experiments", "/insights/latest-scores?p.limit=100"]
    fetched_alone = ["/system"]
    for place, text in enumerate(HOSTILE):
        places = _hostile_places(place, text)
        (seen if place in SEEN_IN_FULL else fetched_alone).extend(places)
        fetched_alone += [f"/r?id={quote(text, safe='')}"]
        fetched_alone += [f"/runs?agent={quote(text, safe='')}", f"/runs?score={quote(text, safe='')}"]
    page.set_viewport_size({"width": 390, "height": 900})
    for path in seen:
        see(page, full, path)
        assert "taken" not in page.title().replace("='taken'", ""), path
        assert not TURNING & set(page.content()), path

    def stays_text(path: str) -> None:
        status, body = fetched(full, path)
        text = body.decode()
        assert status < 500 and "<img" not in text and not TURNING & set(text), path

    all_at_once(stays_text, fetched_alone)


def test_a_range_drawn_on_the_chart_narrows_the_list(full: WholeStack, page: Page) -> None:
    see(page, full, "/runs?agent=writer")
    box = page.locator("svg[data-from]").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 25, steps=4)
    page.mouse.up()
    page.wait_for_url("**until=**")
    assert "since=" in page.url and "agent=writer" in page.url
    assert 0 < page.locator(".wide tbody tr").count() < RUNS


def test_each_chart_and_number_opens_its_rows(full: WholeStack, page: Page) -> None:
    for path in (
        "/runs/run-001",
        "/scores/merged",
        "/experiments/tone?control=plain&decide=merged:rate:P7D",
        "/runs",
        "/",
    ):
        see(page, full, path)
        for link in {each.get_attribute("href") for each in page.locator("a.as-sql").all()}:
            assert link
            status, body = fetched(full, link)
            assert status == 200 and b"trouble" not in body and b"<td" in body, link


def test_keys(full: WholeStack, page: Page) -> None:
    see(page, full, "/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/runs")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.locator("tr.current").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
    page.keyboard.press("/")
    page.keyboard.type("pr:1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/subjects/pr:1")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()


def test_an_outcome_becomes_a_score_on_the_open_page(full: WholeStack, page: Page, browser: Browser) -> None:
    port = full.ports["web"]
    tabs = [page, *(page.context.new_page() for _ in range(9))]
    for tab in tabs:
        tab.goto(address(full, "/"), wait_until="load")
    page.wait_for_timeout(2_500)  # the stream's reader is at the end of its topics
    post(port, "outcomes", [{"type": "pr.closed", "subject": "pr:0", "data": {"merged": True}}])
    for tab in tabs:
        tab.locator("tr.fresh", has_text="pr:0").wait_for(timeout=1000 * ANSWER)


def test_lists_tell_of_news_and_stay(full: WholeStack, page: Page) -> None:
    see(page, full, "/runs")
    before = page.locator(".wide tbody tr").first.inner_text()
    page.wait_for_timeout(2_500)
    post(full.ports["web"], "runs", [{"run_id": "late", "agent": "writer"}])
    expect(page.locator("#live")).to_contain_text("1 new run:", timeout=1000 * ANSWER)
    assert page.locator(".wide tbody tr").first.inner_text() == before


def test_every_page_is_json_and_its_rows_are_exported(full: WholeStack) -> None:
    for path in ("/index", "/runs", "/runs/run-001", "/subjects/pr:4", "/waits", "/scores", "/scores/merged",
                 "/experiments", "/insights/latest-scores", "/dead-letters", "/system"):  # fmt: skip
        assert fetched_json(full, f"{path}.json"), path
    assert all(
        "pr.closed" in row["rule_in_words"] for row in fetched_json(full, "/waits.json?name=merged")["waits"]
    )
    compared = "/experiments/tone.json?control=plain&decide=merged:rate:P7D&judge=judge&verify=1"
    found = fetched_json(full, compared)
    assert found["judge"]["variants"] and found["verified"] is not None and found["record"] is None
    _, rows = fetched(full, "/runs?format=csv&limit=1&agent=writer")
    assert len(rows.decode().splitlines()) > RUNS, "all rows, not one screen"
    assert fetched(full, "/runs?format=parquet")[1].startswith(b"PAR1")


def test_a_list_that_is_cut_says_so_and_leads_to_all_rows(full: WholeStack) -> None:
    given = [
        {"run_id": "crowded", "experiment": "crowd", "variant": f"v{n}", "exposed_at": "2026-01-02T00:00:00Z"}
        for n in range(MOST_EXPOSURES + 1)
    ]
    post(full.ports["web"], "exposures", given)
    stored = "SELECT count() AS n FROM exposures WHERE run_id = 'crowded'"
    full.eventually(stored, [{"n": len(given)}])
    _, body = fetched(full, "/runs/crowded")
    [link] = re.findall(r'The first 100 exposures are shown: <a href="([^"]+)"', body.decode())
    _, rows = fetched(full, f"{unescape(link)}&format=csv")
    assert len(rows.decode().splitlines()) == len(given) + 1, "all rows, and their names"
    assert fetched_json(full, "/runs/crowded.json")["more"] == ["exposures"]


def test_a_slider_leads_to_an_instant_and_keeps_the_state(full: WholeStack) -> None:
    status, body = fetched(full, "/experiments/tone?slide=1764547200&control=plain&decide=merged:rate:P7D")
    assert status == 404 and b"was known by 2025-12-01 00:00 UTC" in body
    assert b'href="/experiments/tone?control=plain&amp;decide=merged%3Arate%3AP7D">as of now' in body
    assert fetched(full, "/experiments/tone?slide=x")[0] == 400


def test_sums_of_steps_hold_on_every_screen(full: WholeStack) -> None:
    first, last, beyond = (
        fetched_json(full, f"/runs/run-001.json{screen}") for screen in ("", "?from=3", "?from=99")
    )
    assert [len(each["steps"]) for each in (first, last, beyond)] == [4, 1, 0]
    assert first["totals"] == last["totals"] == beyond["totals"]
    assert (first["totals"]["steps"], first["totals"]["input_tokens"]) == (4, 1800)


def test_a_page_in_print_has_no_controls(full: WholeStack, page: Page, tmp_path: Path) -> None:
    see(page, full, "/runs")
    page.emulate_media(media="print")
    assert not page.locator("form.filters").is_visible() and page.locator(".wide tbody tr").first.is_visible()


def test_times_are_shown_in_a_chosen_zone(full: WholeStack, page: Page) -> None:
    see(page, full, "/runs/run-001?zone=Asia/Kathmandu")
    assert page.get_by_text("Asia/Kathmandu (UTC+05:45)").is_visible()
    see(page, full, "/runs/run-001")
    assert page.get_by_text("Asia/Kathmandu (UTC+05:45)").is_visible()


ODD = ("\x00", "%00", "a" * 3000, "-1", "1e999", "2026-13-01", "'\"<>", "\u202e", "../..", "{}", "[]")


def test_any_parameter_is_answered_with_a_sentence(full: WholeStack) -> None:
    names = ("agent", "score", "since", "until", "after", "variant", "attr.x", "limit", "format", "zone",
             "state", "by", "as_of", "metric", "from", "step", "sql", "p.limit", "id", "reason", "changed",
             "ticket")  # fmt: skip
    paths = ("/runs", "/runs/run-001", "/waits", "/scores/merged", "/experiments/tone", "/insights", "/r",
             "/dead-letters", "/experiments/tone/units")  # fmt: skip

    def is_answered(address: str) -> None:
        status, text = fetched(full, address)
        assert status < 500, (address, text[-500:])
        assert b"Traceback" not in text

    # Each page gets half of the parameters, and each parameter its values, on one page or another.
    all_at_once(
        is_answered,
        (
            f"{path}?{name}={quote(ODD[(turn + place) % len(ODD)])}"
            for turn, path in enumerate(paths)
            for place, name in enumerate(names)
            if (turn + place) % 2
        ),
    )

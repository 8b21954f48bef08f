"""Who sees which page: this machine, or holders of keys; sessions, shared pages, forms."""

from __future__ import annotations

import json
import re

import pytest

from tests.ingest.raw import NOWHERE, wire
from upshot.errors import ConfigurationError
from upshot.settings import Settings
from upshot.web.access import PageAccess
from upshot.web.live import score_news
from upshot.web.pages.frame import own_path
from upshot.web.pages.openapi import openapi
from upshot.web.rendering import Frame

VIEWER, OPERATOR = "viewer-key-of-24-characters", "operator-key-of-24-characters"
WITH_KEYS = Settings(**{**NOWHERE.model_dump(), "viewer_keys": VIEWER, "operator_keys": OPERATOR})
AWAY = 503
"""The status of a page that may be read, while ClickHouse is away."""


async def test_without_keys_this_machine_reads_and_a_proxy_does_not() -> None:
    async with wire() as server:
        assert (await server.ask("/runs", method="GET")).status == AWAY
        passed_on = await server.ask("/runs", ["X-Forwarded-For: 10.0.0.1"], method="GET")
        assert passed_on.status == 403 and b"UPSHOT_VIEWER_KEYS" in passed_on.body
        assert (await server.ask("/system", ["X-Forwarded-For: 10.0.0.1"], method="GET")).status == 200


async def test_with_keys_everybody_needs_one() -> None:
    async with wire(WITH_KEYS) as server:
        assert (await server.ask("/runs", method="GET")).status == 401
        assert (await server.ask("/runs", ["Authorization: Bearer wrong"], method="GET")).status == 401
        for key in (VIEWER, OPERATOR):
            assert (await server.ask("/runs", [f"Authorization: Bearer {key}"], method="GET")).status == AWAY
        viewer = [f"Authorization: Bearer {VIEWER}"]
        for change in ("/dead-letters/x/resend", "/experiments/x/ship", "/experiments/x/stop"):
            assert (await server.ask(change, viewer)).status == 403
        assert (
            await server.ask("/dead-letters/x/resend", [f"Authorization: Bearer {OPERATOR}"])
        ).status == AWAY


async def test_a_session_is_a_cookie_of_this_site_alone() -> None:
    form = "application/x-www-form-urlencoded"
    async with wire(WITH_KEYS) as server:
        wrong = await server.ask("/login", body=b"key=nothing", content_type=form)
        assert wrong.status == 403 and "Set-Cookie" not in wrong.head
        right = await server.ask("/login", body=f"key={VIEWER}".encode(), content_type=form)
        assert right.status == 303
        assert "HttpOnly" in right.head and "SameSite=Strict" in right.head
        found = re.search(r"upshot_session=([^;]+)", right.head)
        assert found
        cookie = f"Cookie: upshot_session={found[1]}"
        assert (await server.ask("/runs", [cookie], method="GET")).status == AWAY
        forged = found[1].replace("viewer", "operator")
        assert (await server.ask("/runs", [f"Cookie: upshot_session={forged}"], method="GET")).status == 401


async def test_a_shared_page_is_that_page_until_its_day() -> None:
    access = PageAccess(WITH_KEYS)
    async with wire(WITH_KEYS) as server:
        shared = access.shared("/runs?agent=a", 4_000_000_000)
        assert (await server.ask(shared, method="GET")).status == AWAY
        for wrong in (
            shared.replace("agent=a", "agent=b"),
            shared[:-1] + ("0" if shared[-1] != "0" else "1"),
            access.shared("/runs?agent=a", 1_000),
        ):
            assert (await server.ask(wrong, method="GET")).status == 401


def test_a_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UPSHOT_OPERATOR_KEYS"):
        PageAccess(Settings(operator_keys="short"))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb"])
def test_nobody_is_led_elsewhere(text: str) -> None:
    assert own_path(text) == "/"
    assert own_path("/runs?agent=a") == "/runs?agent=a"


async def test_unknown_pages_say_what_exists_in_the_form_of_the_asker() -> None:
    async with wire() as server:
        page = await server.ask("/rnus", ["Accept: text/html"], method="GET")
        assert page.status == 404 and b"did you mean /runs" in page.body and b"<!doctype html>" in page.body
        assert (await server.ask("/rnus", method="GET")).problem["paths"]


async def test_assets_stay_for_ever_under_their_digest() -> None:
    async with wire() as server:
        home = (await server.ask("/login", method="GET")).body.decode()
        for path in re.findall(r'(?:href|src)="(/assets/[^"]+)"', home):
            answer = await server.ask(path, method="GET")
            assert answer.status == 200 and "immutable" in answer.head
        old = await server.ask("/assets/0000/page.css", method="GET")
        assert old.status == 200 and "no-cache" in old.head
        assert (await server.ask("/assets/0000/../server.py", method="GET")).status == 404


def test_the_description_names_every_open_path_and_resolves() -> None:
    described = openapi()
    assert {"/v1/outcomes", "/v1/waits", "/v1/traces", "/v1/webhooks/github"} <= described["paths"].keys()
    for reference in re.findall(r'"\$ref": "#/components/schemas/([a-z-]+)"', json.dumps(described)):
        assert reference in described["components"]["schemas"]


def test_news_of_a_score() -> None:
    times = {"occurred_at": "2026-03-01T12:00:00Z", "decided_at": "2026-03-01T12:00:00.250Z"}
    score = {"name": "merged", "value": True, "run_id": "r", "subject": "\u202es"} | times
    found = score_news(json.dumps(score).encode())
    assert found and (found["shown"], found["latency"], found["subject"]) == ("true", "250 ms", "\\u202es")
    for other in (None, b"{", b"[]", b'{"name": 1}', b'{"name": "a", "value": null}'):
        assert score_news(other) is None


def test_links_of_a_page_keep_its_path_encoded() -> None:
    frame = Frame(path="/runs/h%20%E2%80%AEx")
    assert frame.here(step="s") == "/runs/h%20%E2%80%AEx?step=s"


async def test_the_place_of_a_page_is_as_encoded_as_it_was_asked() -> None:
    async with wire() as server:
        shown = (await server.ask("/runs/h%20%E2%80%AEx", ["Accept: text/html"], method="GET")).body.decode()
    assert "/runs/h%20%E2%80%AEx" in shown and "\u202e" not in shown


async def test_a_page_is_compressed_for_browsers() -> None:
    async with wire() as server:
        small = await server.ask("/api", ["Accept-Encoding: gzip"], method="GET")
        whole = await server.ask("/api", method="GET")
        assert "Content-Encoding: gzip" in small.head and "Content-Encoding" not in whole.head
        assert len(small.body) < len(whole.body) / 2


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"--x\r\n", "multipart/form-data", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nbad header\r\n\r\na\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"why=1", "application/x-www-form-urlencoded; charset=klingon", 400),
        (b"why=\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 2_000, "application/x-www-form-urlencoded", 413),
        (b'{"why": 1}', "application/json", 403),
    ],
)
async def test_a_form_that_is_none_is_a_sentence(body: bytes, kind: str, status: int) -> None:
    async with wire() as server:
        for path in ("/experiments", "/insights/saved", "/login"):
            shown = await server.ask(path, body=body, content_type=kind)
            assert shown.status == status, path
            assert b"fault" not in shown.body and b"<h1" in shown.body, path


async def test_a_fault_of_a_page_is_a_page_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> set[str]:
        raise AssertionError("a secret place")

    monkeypatch.setattr("upshot.web.pages.frame.available_timezones", broken)
    async with wire() as server:
        shown = await server.ask("/zone", method="GET")
        assert shown.status == 500 and b"A fault of ours" in shown.body and b"secret" not in shown.body
        told = await server.ask("/zone.json", method="GET")
        assert told.status == 500 and "fault" in json.loads(told.body)["detail"]


PAGES = ("/runs", "/runs/x", "/r/x", "/subjects/x", "/waits", "/scores", "/scores/x", "/experiments",
         "/experiments/x", "/experiments/x/units", "/alerts", "/alerts/x", "/alerts/rules", "/alerts/rules/x",
         "/alerts/receivers", "/alerts/notices", "/insights/latest-scores", "/dead-letters",
         "/dead-letters/x")  # fmt: skip


async def test_every_page_names_the_part_that_is_away_and_comes_back() -> None:
    async with wire() as server:
        for path in PAGES:
            answer = await server.ask(path, ["Accept: text/html"], method="GET")
            text = answer.body.decode()
            assert answer.status == 503 and 'http-equiv="refresh"' in text, path
            assert "ClickHouse" in text and "So since" in text, path
            assert (await server.ask(f"{path}.json", method="GET")).problem["status"] == 503, path


async def test_a_page_says_since_when_clickhouse_is_away_and_loads_itself_again() -> None:
    async with wire() as server:
        shown = [
            (await server.ask("/runs", ["Accept: text/html"], method="GET")).body.decode() for _ in range(2)
        ]
    since = re.search(r"ClickHouse.*So since [0-9: -]+ UTC", shown[0])
    assert since and since[0] in shown[1], "since the first time, not the last"
    assert 'http-equiv="refresh"' in shown[0]


async def test_the_first_page_names_each_part_that_is_away() -> None:
    async with wire() as server:
        answer = await server.ask("/", ["Accept: text/html"], method="GET")
    text = answer.body.decode()
    assert answer.status == 200 and 'http-equiv="refresh"' in text
    assert "not everything works: kafka, clickhouse" in text and "There are no figures" in text
    assert re.search(r"</a> since [0-9: -]{19}</p>", text)

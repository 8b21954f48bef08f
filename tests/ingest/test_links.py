"""Signed links: a GET asks, a POST records, once, until they expire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.ingest.conftest import Client, open_api, read
from tests.upshot_process import upshot
from upshot.errors import ConfigurationError, LinkRefused
from upshot.links import LONGEST_LINK, outcome_link, read_link
from upshot.settings import Settings
from upshot.streams.events.records import decode_outcome

SECRET = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUBLIC = Settings(public_url="https://upshot.example/", link_secret=SecretStr(SECRET))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.none() | st.booleans() | st.integers() | st.dictionaries(TEXTS, TEXTS, max_size=3)


def token_of(link: str) -> str:
    return link.removeprefix("https://upshot.example/v1/links/")


def test_a_link_says_what_was_signed_until_it_expires() -> None:
    link = outcome_link("ticket.rated", "ticket:7", data={"good": True, "ä": "ß"}, settings=PUBLIC, now=NOW)
    assert link == outcome_link(
        "ticket.rated", "ticket:7", data={"ä": "ß", "good": True}, settings=PUBLIC, now=NOW
    )
    said = read_link(token_of(link), PUBLIC, NOW + timedelta(days=7))
    assert (said.type, said.subject, said.data) == ("ticket.rated", "ticket:7", {"good": True, "ä": "ß"})
    with pytest.raises(LinkRefused, match="expired") as caught:
        read_link(token_of(link), PUBLIC, NOW + timedelta(days=7, seconds=1))
    assert caught.value.expired


@given(TEXTS, TEXTS, JSON, st.timedeltas(timedelta(seconds=1), timedelta(days=3650)))
def test_whatever_a_link_says_is_read_again(kind: str, subject: str, data: Any, expires: timedelta) -> None:
    link = outcome_link(kind, subject, data=data, expires=expires, settings=PUBLIC, now=NOW)
    said = read_link(token_of(link), PUBLIC, NOW)
    assert (said.type, said.subject, said.data) == (kind, subject, data)


def test_links_that_say_the_same_have_one_id() -> None:
    def id_of(subject: str, good: bool, id: str | None = None, days: int = 7) -> str:
        link = outcome_link(
            "rated",
            subject,
            data={"good": good},
            id=id,
            expires=timedelta(days=days),
            settings=PUBLIC,
            now=NOW,
        )
        return read_link(token_of(link), PUBLIC, NOW).id

    assert id_of("t:1", True) == id_of("t:1", True, days=9)
    assert len({id_of("t:1", True), id_of("t:1", False), id_of("t:2", True), id_of("t:1", True, "own")}) == 4


def test_nothing_of_a_link_can_be_changed() -> None:
    token = token_of(outcome_link("rated", "t:1", settings=PUBLIC, now=NOW))
    for place, letter in enumerate(token):
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        with pytest.raises(LinkRefused):
            read_link(changed, PUBLIC, NOW)
    for wrong in ("", ".", "a.b", token + "A", token.split(".")[0], "ä.ö"):
        with pytest.raises(LinkRefused):
            read_link(wrong, PUBLIC, NOW)
    other = PUBLIC.model_copy(update={"link_secret": SecretStr(SECRET[::-1])})
    with pytest.raises(LinkRefused):
        read_link(token, other, NOW)


def test_a_link_needs_a_secret_and_has_an_end() -> None:
    with pytest.raises(ConfigurationError, match="UPSHOT_LINK_SECRET"):
        outcome_link("rated", "t:1", settings=Settings(link_secret=SecretStr("short")))
    with pytest.raises(ConfigurationError, match=str(LONGEST_LINK)):
        outcome_link("rated", "t:1", data="x" * LONGEST_LINK, settings=PUBLIC)


def test_the_command_prints_one() -> None:
    environment = {"UPSHOT_LINK_SECRET": SECRET, "UPSHOT_PUBLIC_URL": "https://upshot.example"}
    arguments = ("link", "--type", "rated", "--subject", "t:1", "--expires", "P1D", "--data", '{"good":true}')
    done = upshot(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    said = read_link(token_of(done.stdout.strip()), PUBLIC, datetime.now(UTC))
    assert (said.subject, said.data) == ("t:1", {"good": True})
    assert timedelta(hours=23) < said.expires_at - datetime.now(UTC) <= timedelta(days=1)
    for wrong in ((*arguments, "--expires", "soon"), (*arguments, "--data", "{")):
        assert upshot(*wrong, environment=environment).returncode == 2
    assert upshot(*arguments).returncode == 2


@pytest.fixture
def linking(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"link_secret": SecretStr(SECRET), "public_url": "https://upshot.example"}
    )


@pytest.fixture
async def door(linking: Settings) -> AsyncIterator[Client]:
    async with open_api(linking) as client:
        yield client


def path_of(link: str) -> str:
    return link.removeprefix("https://upshot.example")


@pytest.mark.stack
async def test_looking_records_nothing_and_confirming_records_once(linking: Settings, door: Client) -> None:
    hostile = "<script>alert(1)</script>"
    link = path_of(outcome_link("ticket.rated", "ticket:7", data={"why": hostile}, settings=linking))
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    for method in ("GET", "HEAD"):
        response = await door.ask(method, link, headers=proxied)
        assert response.status == 200
    page = (await door.ask("GET", link)).text
    assert "Nothing is recorded until you confirm" in page
    assert hostile not in page
    assert "form-action 'self'" in response.headers["Content-Security-Policy"]
    assert await read(linking, "outcomes", 0) == []
    for _ in range(2):
        response = await door.ask("POST", link, headers=proxied)
        assert response.status == 200
        assert "it is recorded" in response.text
    outcomes = list(map(decode_outcome, await read(linking, "outcomes", 2)))
    assert len({(outcome.source, outcome.id) for outcome in outcomes}) == 1
    assert (outcomes[0].type, outcomes[0].subject) == ("ticket.rated", "ticket:7")


@pytest.mark.stack
async def test_refusals_are_pages(linking: Settings, door: Client, client: Client) -> None:
    expired = path_of(outcome_link("a", "s", expires=timedelta(seconds=-1), settings=linking))
    good = path_of(outcome_link("a", "s", settings=linking))
    absurd = path_of(outcome_link("a", "", settings=linking))
    for link, status, said in (
        (expired, 410, "expired"),
        (good + "A", 403, "damaged"),
        (absurd, 400, "needs a subject"),
    ):
        response = await door.ask("POST", link)
        assert response.status == status
        assert response.content_type == "text/html"
        assert said in response.text
    assert (await client.ask("GET", good)).status == 404  # without a secret there are no links
    assert await read(linking, "outcomes", 0) == []

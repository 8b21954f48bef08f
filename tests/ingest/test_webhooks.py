"""Signed webhooks at a real HTTP API: counted once, refused if unsigned, kept where no mapping fits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from pydantic import SecretStr

from tests.ingest.conftest import Client, open_api, read, values
from tests.webhooks.signing import GITHUB, STRIPE, ZENDESK, by_github, by_stripe, by_zendesk
from upshot.settings import Settings
from upshot.sources import Source
from upshot.streams.events.records import decode_outcome

pytestmark = pytest.mark.stack

PULL = msgspec.json.encode(
    {
        "action": "closed",
        "repository": {"full_name": "acme/web"},
        "pull_request": {"number": 12, "merged": True, "updated_at": "2026-11-24T11:59:00Z"},
    }
)


@pytest.fixture
def signing(settings: Settings) -> Settings:
    secrets = {"github": f"the-old-one,{GITHUB}", "stripe": STRIPE, "zendesk": ZENDESK}
    update = {f"webhook_{name}_secret": SecretStr(secret) for name, secret in secrets.items()}
    return settings.model_copy(update=update)


@pytest.fixture
async def door(signing: Settings) -> AsyncIterator[Client]:
    async with open_api(signing) as client:
        yield client


async def test_a_redelivered_webhook_is_the_same_outcome(settings: Settings, door: Client) -> None:
    proxied = {"X-Forwarded-For": "140.82.112.1"}  # no key, but signed: from anywhere
    for _ in range(2):
        answer = await door.post("/v1/webhooks/github", PULL, by_github(PULL, "pull_request") | proxied)
        assert answer == (202, {"accepted": 1, "ids": ["d-1"]})
    first, second = map(decode_outcome, await read(settings, "outcomes", 2))
    assert first == second
    assert (first.type, first.subject) == ("github.pull_request.closed", "pr:acme/web#12")
    assert first.data["merged"] is True


async def test_a_form_is_read_as_its_payload(settings: Settings, door: Client) -> None:
    form = b"payload=" + quote(PULL.decode()).encode()
    headers = by_github(form, "pull_request") | {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await door.post("/v1/webhooks/github", form, headers))[1]["accepted"] == 1
    [record] = await read(settings, "outcomes", 1)
    assert decode_outcome(record).subject == "pr:acme/web#12"


async def test_stripe_and_zendesk(settings: Settings, door: Client) -> None:
    now = datetime.now(UTC)
    refund = {"id": "re_1", "object": "refund", "charge": "ch_1"}
    created = int((now - timedelta(minutes=1)).timestamp())
    stripe = msgspec.json.encode(
        {"id": "evt_1", "type": "refund.created", "created": created, "data": {"object": refund}}
    )
    answer = await door.post("/v1/webhooks/stripe", stripe, by_stripe(stripe, now))
    assert answer == (202, {"accepted": 1, "ids": ["evt_1"]})
    zendesk = b'{"type":"ticket.reopened","subject":"ticket:8841"}'
    answer = await door.post("/v1/webhooks/zendesk", zendesk, by_zendesk(zendesk, now))
    assert answer == (202, {"accepted": 1, "ids": ["01ABC"]})
    subjects = {decode_outcome(record).subject for record in await read(settings, "outcomes", 2)}
    assert subjects == {"charge:ch_1", "ticket:8841"}


async def test_what_is_not_signed_is_refused(settings: Settings, door: Client, client: Client) -> None:
    for headers in ({}, by_github(PULL, "pull_request", secret="guessed")):
        status, problem = await door.post("/v1/webhooks/github", PULL, headers)
        assert status == 401
        assert "X-Hub-Signature-256" in problem["detail"]
        assert GITHUB not in str(problem)
    old = by_stripe(PULL, datetime.now(UTC) - timedelta(hours=1))
    assert (await door.post("/v1/webhooks/stripe", PULL, old))[0] == 401
    status, problem = await client.post(
        "/v1/webhooks/github", PULL, by_github(PULL, "pull_request", secret="")
    )
    assert status == 404
    assert "UPSHOT_WEBHOOK_GITHUB_SECRET" in problem["detail"]
    assert await read(settings, "outcomes", 0) == []


async def test_what_no_mapping_understands_is_kept(settings: Settings, door: Client) -> None:
    bodies = {b"no json": "not_json", b'{"organization":{}}': "unmapped"}
    for body in bodies:
        answer = await door.post("/v1/webhooks/github", body, by_github(body, "organization", "d-9"))
        assert answer == (202, {"accepted": 0, "ids": [], "dead_lettered": 1})
    letters = values(await read(settings, "dead-letters", 2))
    assert {letter["reason"] for letter in letters} == set(bodies.values())
    assert {letter["topic"] for letter in letters} == {"webhook:github"}
    ping = b'{"zen":"calm"}'
    assert (await door.post("/v1/webhooks/github", ping, by_github(ping, "ping")))[1] == {
        "accepted": 0,
        "ids": [],
    }


async def test_an_app_says_what_its_webhooks_mean(signing: Settings) -> None:
    mine = Source(
        webhook="github",
        when="action == 'closed'",
        type="pr.closed",
        subject="change:{pull_request.number}",
        data={"merged": "pull_request.merged"},
    )
    async with open_api(signing, sources=[mine]) as client:
        answer = await client.post("/v1/webhooks/github", PULL, by_github(PULL, "pull_request"))
        assert answer == (202, {"accepted": 1, "ids": ["github-d-1/pr.closed"]})
        opened = b'{"action":"opened"}'
        assert (await client.post("/v1/webhooks/github", opened, by_github(opened, "x")))[1]["accepted"] == 0
    [record] = await read(signing, "outcomes", 1)
    outcome = decode_outcome(record)
    assert (outcome.type, outcome.subject, outcome.data) == ("pr.closed", "change:12", {"merged": True})


async def test_a_renamed_repository_is_known_by_the_names_that_it_had(signing: Settings) -> None:
    def said(event: str, value: dict[str, object], delivery: str) -> tuple[bytes, dict[str, str]]:
        body = msgspec.json.encode(value)
        return body, by_github(body, event, delivery)

    repository = {"id": 7, "full_name": "acme/website"}
    changes = {"repository": {"name": {"from": "web"}}}
    renamed = {"action": "renamed", "repository": repository, "changes": changes}
    pull = {"number": 77, "merged": True}
    closed = {"action": "closed", "repository": repository, "pull_request": pull}
    async with open_api(signing) as door:
        assert (await door.post("/v1/webhooks/github", *said("repository", renamed, "d-1")))[0] == 202
    async with open_api(signing) as another:
        for _ in range(2):
            answer = await another.post("/v1/webhooks/github", *said("pull_request", closed, "d-2"))
            assert answer == (202, {"accepted": 2, "ids": ["d-2", "d-2"]})
    outcomes = [decode_outcome(record) for record in await read(signing, "outcomes", 6)]
    subjects = {outcome.subject for outcome in outcomes if outcome.id == "d-2"}
    assert subjects == {"pr:acme/website#77", "pr:acme/web#77"}
    assert len(await read(signing, "names", 2)) == 2


async def test_a_moved_issue_is_known_at_its_earlier_place(signing: Settings) -> None:
    web, api = {"id": 17, "full_name": "acme/shop"}, {"id": 18, "full_name": "acme/tills"}
    changes = {"new_issue": {"number": 5}, "new_repository": api}
    gone = {"action": "transferred", "repository": web, "issue": {"number": 12}, "changes": changes}
    closed = {"action": "closed", "repository": api, "issue": {"number": 5, "state": "closed"}}
    async with open_api(signing) as door:
        for value, delivery in ((gone, "m-1"), (closed, "m-2")):
            body = msgspec.json.encode(value)
            answer = await door.post("/v1/webhooks/github", body, by_github(body, "issues", delivery))
            assert answer == (202, {"accepted": 2, "ids": [delivery, delivery]})
    outcomes = [decode_outcome(record) for record in await read(signing, "outcomes", 4)]
    subjects = {outcome.subject for outcome in outcomes if outcome.id == "m-2"}
    assert subjects == {"issue:acme/tills#5", "issue:acme/shop#12"}

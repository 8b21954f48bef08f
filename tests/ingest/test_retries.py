"""One Idempotency-Key means one request: the same again is the same, another one is refused."""

from __future__ import annotations

import pytest

from tests.ingest.raw import wire
from upshot.ingest.answers import Problem
from upshot.ingest.retries import Requests, digest_of, scopes_of, with_id
from upshot.streams.events.reading import read_events


def said(raw: bytes) -> bytes:
    return digest_of([with_id(entry, "key") for entry in read_events(raw)])


def test_the_same_again_is_taken_and_another_one_is_not() -> None:
    requests = Requests()
    first = said(b'{"type":"a","subject":"s","data":{"x":1,"y":2}}')
    for same in (first, said(b' {"data": {"y":2, "x":1}, "subject":"s", "type":"a"}\n')):
        requests.remember("k", ["outcomes"], same)
    for other in (
        b'{"type":"a","subject":"s","data":{"x":1,"y":3}}',
        b'[{"type":"a","subject":"s","data":{"x":1,"y":2}}]',
        b'{"type":"a","subject":"s","data":{"x":1,"y":2}}\n' * 2,
        b"",
    ):
        with pytest.raises(Problem, match="nothing was taken") as caught:
            requests.remember("k", ["outcomes"], said(other))
        assert caught.value.status == 422
    for number in (b"1" + b"0" * 30, b"-1" + b"0" * 30, b"0.1"):
        assert said(b'{"type":"a","subject":"s","data":%s}' % number) != first
    requests.remember("another", ["outcomes"], said(b""))
    requests.remember("k", ["runs"], said(b""))
    requests.remember("k", ["outcomes"], first)


def test_what_is_remembered_is_bounded() -> None:
    requests = Requests(most=2)
    for key in ("a", "b", "a", "c"):
        requests.remember(key, ["outcomes"], b"one")
    requests.remember("b", ["outcomes"], b"forgotten")
    with pytest.raises(Problem):
        requests.remember("c", ["outcomes"], b"two")
    odd = "\udcff"
    requests.remember(odd, ["outcomes"], b"one")
    with pytest.raises(Problem):
        requests.remember(odd, ["outcomes"], b"two")


async def test_a_refused_request_may_be_mended_under_its_key() -> None:
    async with wire() as server:
        key = "Idempotency-Key: k1"
        assert (await server.ask(headers=[key], body=b'[{"type":"a"}]')).status == 400
        assert (await server.ask(headers=[key], body=b"[]")).status == 202
        assert (await server.ask(headers=[key], body=b"[]")).status == 202
        refused = await server.ask(headers=[key], body=b'[{"type":"a","subject":"s"}]')
        assert (refused.status, refused.problem["status"]) == (422, 422)
        assert (await server.ask(headers=[key, "Idempotency-Key: k2"], body=b"[]")).status == 400


async def test_a_key_means_one_request_at_a_path_and_wherever_its_ids_are_the_same() -> None:
    told = read_events(b'{"type":"a","subject":"s"}')
    assert scopes_of("/v1/events", "outcomes", told) == ["/v1/events", "outcomes the event"]
    assert scopes_of("/v1/outcomes", "outcomes", []) == ["/v1/outcomes"]
    requests = Requests()
    requests.remember("k", scopes_of("/v1/events", "outcomes", told), b"one")
    with pytest.raises(Problem):
        requests.remember("k", scopes_of("/v1/outcomes", "outcomes", told), b"two")

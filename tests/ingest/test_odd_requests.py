"""No request at all is too odd for an answer in words, and nothing of it gets into the log."""

from __future__ import annotations

import hmac
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.ingest.raw import NOWHERE, Wire, reply, wire
from tests.ingest.test_access import KEY, ODD_NAMES
from tests.webhooks.signing import GITHUB, STRIPE, ZENDESK, by_github, by_stripe, by_zendesk
from upshot.errors import LinkRefused
from upshot.links import read_link
from upshot.web.guard import NoHeaders


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Wire]:
    async with wire() as server:
        yield server


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_hosts_are_answered_in_words(server: Wire, name: str) -> None:
    for path, method in (
        ("/v1/outcomes", "POST"),
        ("/healthz", "GET"),
        ("/v1/links/x", "GET"),
        ("/nothing", "GET"),
    ):
        answer = await server.ask(path, host=name, method=method)
        assert answer.status == 400, answer


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (b"POST /v1/outcomes HTTP/1.1\r\n\r\n", {400}),
        (b"POST /v1/outcomes HTTP/1.0\r\n\r\n", {400}),
        (b"POST /v1/outcomes HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
        (b"POST http://evil.example/v1/outcomes HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"GET http://[/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", {404, 405}),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 300 + b"\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: \x80\r\n\r\n", {417}),
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: \x80\r\n\r\n", {417}),
    ],
)
async def test_odd_requests_are_answered_in_words(server: Wire, raw: bytes, statuses: set[int]) -> None:
    answer = reply(await server.send(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")))
    assert answer.status in statuses, answer


NAMES = st.sampled_from(
    [
        *(
            b"Host",
            b"Origin",
            b"Authorization",
            b"Content-Type",
            b"Content-Encoding",
            b"Content-Length",
            b"Expect",
        ),
        *(
            b"Transfer-Encoding",
            b"Idempotency-Key",
            b"Range",
            b"If-None-Match",
            b"Accept",
            b"Cookie",
            b"Upgrade",
        ),
        *(
            b"If-Modified-Since",
            b"ce-type",
            b"ce-subject",
            b"ce-time",
            b"Sec-Fetch-Site",
            b"Connection",
            b"X-\xff",
        ),
        *(b"X-Hub-Signature-256", b"Stripe-Signature", b"X-Zendesk-Webhook-Signature", b"X-GitHub-Event"),
        *(b"X-Zendesk-Webhook-Signature-Timestamp",),
    ]
)
TEXT = st.sampled_from(
    [b"", b"[", b"localhost", b"application/json", b"gzip", b"chunked", b"x" * 300, b"1", b"bytes=9-1"]
)
VALUES = (
    TEXT
    | st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=12)
)
PATHS = st.sampled_from(
    [
        *(
            "/",
            "/healthz",
            "/static/style.css",
            "/static/",
            "/v1/outcomes",
            "/v1/runs",
            "/v1/events",
            "/v1/traces",
        ),
        *(
            "/v1/logs",
            "/v1/links/x",
            "/v1/links/x.y",
            "/v1/webhooks/github",
            "/v1/webhooks/stripe",
            "/v1/webhooks/zendesk",
        ),
        *(
            "/%",
            "/%ff",
            "//",
            "/v1/links/%00",
            "/?%",
            "/v1/links/\u2100",
            "/static/%00",
            "/v1/outcomes?a=[&b=%zz",
        ),
    ]
)
METHODS = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "PROPFIND"])
BODIES = st.sampled_from(
    [b"", b"{", b"[", b"{}", b"[{}]", b"\xff", b"\x0a\x00", b'{"type":"a"}\n{"a":']
) | st.binary(max_size=30)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(METHODS, PATHS, st.lists(st.tuples(NAMES, VALUES), max_size=5), BODIES)
async def test_no_request_is_too_odd_for_an_answer(
    server: Wire,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    said: list[tuple[bytes, bytes]],
    body: bytes,
) -> None:
    caplog.clear()
    own = [] if any(name == b"Host" for name, _ in said) else [b"Host: localhost"]
    lines = [f"{method} {path} HTTP/1.1".encode(), *own, *(name + b": " + value for name, value in said)]
    lines += [b"Content-Length: %d" % len(body), b"Connection: close"]
    raw = await server.send(b"\r\n".join(lines) + b"\r\n\r\n" + body)
    assert b"Traceback" not in raw
    for answer in raw.split(b"HTTP/1.")[1:2]:
        status = int(answer.split(b" ", 2)[1])
        assert status < 500 or status == 503, raw
    crashed = [
        record for record in caplog.records if record.exc_info and "aiohttp" not in str(record.exc_info[0])
    ]
    assert not crashed, crashed


async def test_no_line_of_a_stranger_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.no_lines")
    log.addFilter(NoHeaders())
    async with wire(logger=log) as server:
        with caplog.at_level(logging.DEBUG):
            answer = await server.ask(headers=[f"Authorization: Bearer \x00{KEY}"])
    assert answer.status == 400
    told = [record for record in caplog.records if record.name == log.name]
    assert told
    assert KEY not in caplog.text + str([record.__dict__ for record in told])


SIGNING = NOWHERE.model_copy(
    update={
        "webhook_github_secret": SecretStr(GITHUB),
        "webhook_stripe_secret": SecretStr(STRIPE),
        "webhook_zendesk_secret": SecretStr(ZENDESK),
        "link_secret": SecretStr("0123456789abcdef0123456789abcdef"),
    }
)
ODD_BODIES = [
    *(
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'"\\ud83d"',
        b"9" * 5000,
        b'{"a":' * 3000,
        b"\xff",
        b"payload=%ff&payload=%00",
    ),
    b'{"action":"closed","repository":{"full_name":"\\ud83d"},"pull_request":{"number":1e999}}',
    b'{"id":"e","type":"charge.refunded","created":-99999999999,"data":{"object":{"id":"c","object":"charge","metadata":[1]}}}',
    b'{"type":"t","subject":"s","created":99999999999999999999}',
]
WORDS = {202, 400, 401, 422, 503}
"""What an odd request is answered with: nobody is here to take it, but that is said."""


@pytest.mark.parametrize("body", ODD_BODIES, ids=lambda body: str(body[:30]))
async def test_odd_webhooks_are_answered_in_words(body: bytes) -> None:
    now = datetime.now(UTC)
    signed = {
        "github": by_github(body, "pull_request"),
        "stripe": by_stripe(body, now),
        "zendesk": by_zendesk(body, now),
    }
    async with wire(SIGNING) as server:
        for name, said in signed.items():
            lines = [f"{header}: {text}" for header, text in said.items() if "Delivery" not in header]
            for content_type in ("application/json", "application/x-www-form-urlencoded"):
                answer = await server.ask(
                    f"/v1/webhooks/{name}",
                    [*lines, b"X-GitHub-Delivery: \xff\xfe", b"X-Odd: \xff"],
                    body=body,
                    content_type=content_type,
                )
                assert answer.status in WORDS, answer


@pytest.mark.parametrize("key", [b"\xff", b"\xed\xa0\x80", b"k" * 4000])
async def test_odd_keys_and_attributes_are_answered_in_words(server: Wire, key: bytes) -> None:
    lines = [b"Idempotency-Key: " + key]
    odd = [
        b"ce-type: \xff",
        b"ce-subject: %ff%ed%a0%80",
        b"ce-source: \xed\xa0\x80",
        b"ce-time: [",
        b"ce-data_base64: 1",
    ]
    for body in (b'{"type":"a","subject":"s"}', b'[{"type":"a","subject":"\\ud83d"}]'):
        assert (await server.ask(headers=lines, body=body)).status in WORDS
        assert (await server.ask("/v1/events", [*lines, *odd], body=body)).status in WORDS


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\x01",
        b"{}",
        b"[]",
        b'{"type":5,"subject":[],"id":{},"until":1}',
        b'{"type":"a","subject":"b","id":"c","until":1e300}',
    ],
)
def test_links_that_say_nothing_are_refused_in_words(said: bytes) -> None:
    payload = urlsafe_b64encode(said).rstrip(b"=").decode()
    signature = hmac.digest(
        SIGNING.link_secret.get_secret_value().encode(), b"upshot link 1\n" + payload.encode(), "sha256"
    )
    token = f"{payload}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    with pytest.raises(LinkRefused, match="nothing was recorded"):
        read_link(token, SIGNING, datetime.now(UTC))


async def test_spans_that_are_left_out_are_counted_in_the_answer(server: Wire) -> None:
    ids = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    bad = [ids | {"startTimeUnixNano": [1, 2]}, ids | {"name": 5}, ids | {"name": 6}, {"name": "nobody"}]
    body = msgspec.json.encode({"resourceSpans": [{"scopeSpans": [{"spans": bad}]}]})
    answer = await server.ask("/v1/traces", body=body)
    partial = answer.problem["partialSuccess"]
    assert (answer.status, partial["rejectedSpans"]) == (200, "4")
    for words in (
        "1 without a valid trace id",
        "2 in which name is no text",
        "1 in which startTimeUnixNano is no",
    ):
        assert words in partial["errorMessage"]

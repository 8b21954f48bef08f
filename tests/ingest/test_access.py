"""Who may come in: names, origins, relays, keys.

And that no request at all is too odd for an answer in words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import SecretStr

from tests.ingest.raw import Wire, wire
from upshot.ingest.access import Access, Viewers
from upshot.ingest.hosts import host_of, is_loopback, origin_of
from upshot.ingest.relays import relayed_by
from upshot.settings import Settings

KEY = "a-key-of-somebody-1"
ODD_NAMES = [
    *(
        "[",
        "[::1",
        "]",
        "[]",
        "[::1]x",
        "a b",
        "http://127.0.0.1",
        "127.0.0.1/",
        "127.0.0.1#",
        "user@127.0.0.1",
    ),
    *(
        "\u2100",
        "\uff2cocalhost",
        "127\u30020\u30020\u30021",
        "[v1.x]",
        "[fe80::1%25eth0]",
        "%31%32%37.0.0.1",
        "localhost:1:2",
    ),
    *("", " ", "127.0.0.1:port", "localhost:999999", "[[::1]]", "a" * 300, "\x7f", "loca\tlhost"),
]
FOREIGN = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "0.0.0.0",
    "[::]",
    "10.0.0.1",
    "127.1",
]
HERE = ["localhost", "LocalHost:80", "127.0.0.1", "127.8.8.8:9", "[::1]", "[::1]:80", "[::ffff:127.0.0.1]"]


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(pairs)


def keyless(*pairs: tuple[str, str], peer: str | None = "127.0.0.1") -> str | None:
    return Access(Settings()).refusal(headers(*pairs), peer)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_is_no_host_is_none(name: str) -> None:
    assert host_of(name) is None
    assert origin_of("http://" + name) is None


@given(st.text(max_size=20))
def test_no_text_is_too_odd_for_a_host_or_an_origin(text: str) -> None:
    for name in (host_of(text), origin_of(text), origin_of("http://" + text)):
        is_loopback(name)


@pytest.mark.parametrize("name", HERE)
def test_names_of_this_machine_may_send(name: str) -> None:
    assert keyless(("Host", name)) is None
    assert keyless(("Host", name), ("Origin", "http://localhost:3000")) is None
    assert keyless(("Host", name), peer="10.0.0.1") is not None
    assert keyless(("Host", name), peer=None) is not None


@pytest.mark.parametrize("name", FOREIGN)
def test_other_names_may_not(name: str) -> None:
    assert keyless(("Host", name)) is not None
    assert keyless(("Host", "localhost"), ("Origin", f"http://{name}")) is not None
    assert (
        keyless(("Host", "localhost"), ("Origin", "http://localhost"), ("Origin", f"http://{name}"))
        is not None
    )
    assert keyless(("Host", "localhost"), ("Host", name)) is not None


@pytest.mark.parametrize(
    "origin", ["null", "file://", "chrome-extension://abc", "//localhost", "localhost", ""]
)
def test_pages_from_nowhere_may_not(origin: str) -> None:
    assert keyless(("Host", "localhost"), ("Origin", origin)) is not None
    assert keyless(("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")) is not None


RELAYS = [
    "Via",
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-Client-Cert",
    "X-Original-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "Client-IP",
    "X-Remote-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Ray",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "Incap-Client-IP",
    "X-Envoy-External-Address",
    "X-Envoy-Original-Path",
    "X-Azure-ClientIP",
    "X-Azure-FDID",
    "X-AppEngine-User-IP",
    "X-ProxyUser-Ip",
    "WL-Proxy-Client-IP",
    "X-Originating-IP",
    "X-Remote-Addr",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Host",
    "CDN-Loop",
    "Proxy-Connection",
    "X-Nginx-Proxy",
    "X-Varnish",
    "X-BlueCoat-Via",
    "X-Vercel-Forwarded-For",
    "X-NF-Client-Connection-IP",
    "Ali-CDN-Real-IP",
    "CloudFront-Viewer-Address",
    "Tailscale-User-Login",
    "X-Sucuri-ClientIP",
    "X-Akamai-Edgescape",
    "Max-Forwards",
    "x_forwarded_for",
    "Front-End-Https",
    "X-Traefik-Something",
    "X-Forward-For",
]
ORDINARY = [
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Expect",
    "Connection",
    "Keep-Alive",
    "Authorization",
    "Idempotency-Key",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "X-B3-TraceId",
    "X-Request-Id",
    "X-Correlation-Id",
    "X-Amzn-Trace-Id",
    "X-Cloud-Trace-Context",
    "sentry-trace",
    "uber-trace-id",
    "X-Api-Key",
    "Cookie",
    "DNT",
    "Priority",
    "Origin",
    "Referer",
    "Cache-Control",
    "Pragma",
    "Date",
    "TE",
    "Upgrade",
    "Sec-Fetch-Mode",
    "ce-type",
    "ce-clientip",
    "ce-via",
    "X-Stainless-Lang",
]


@pytest.mark.parametrize("name", RELAYS)
def test_what_was_passed_on_may_not(name: str) -> None:
    for written in (name, name.lower()):
        said = keyless(("Host", "localhost"), (written, ""))
        assert said is not None
        assert written in said


def test_what_programs_send_by_themselves_says_nothing() -> None:
    assert [name for name in ORDINARY if relayed_by([name])] == []


def test_a_refusal_without_keys_names_the_setting_and_the_header() -> None:
    refusal = keyless(("Host", "evil.example")) or ""
    assert "set UPSHOT_API_KEYS, and send one of the keys" in refusal
    assert "Authorization: Bearer KEY" in refusal


def test_one_key_and_no_second_one() -> None:
    access = Access(Settings(api_keys=SecretStr(KEY)))
    good, bad = ("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer something-else-1")
    assert access.refusal(headers(("Host", "upshot.example"), ("Via", "1.1 proxy"), good), "10.0.0.1") is None
    for wrong in ([], [bad], [good, bad], [bad, good], [("Authorization", KEY)], [("X-Api-Key", KEY)]):
        assert access.refusal(headers(*wrong), "127.0.0.1") is not None


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Wire]:
    async with wire() as server:
        yield server


@pytest.mark.parametrize("path", ["/static/style.css", "/", "/healthz", "/static/nothing"])
@pytest.mark.parametrize("name", FOREIGN)
async def test_pages_answer_to_their_own_names(server: Wire, path: str, name: str) -> None:
    answer = await server.ask(path, host=name, method="GET")
    assert answer.status == 421
    assert "UPSHOT_ALLOWED_HOSTS" in answer.problem["detail"]


@pytest.mark.parametrize("name", HERE)
async def test_pages_answer_here(server: Wire, name: str) -> None:
    assert (await server.ask("/static/style.css", host=name, method="GET")).status == 200


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Origin: http://evil.example"], 403),
        (["Origin: null"], 403),
        (["Origin: http://["], 403),
        (["Origin: http://localhost", "Origin: http://evil.example"], 403),
        (["Origin: http://localhost:3000"], 200),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], 403),
        (["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"], 403),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200),
        (["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200),
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: style"], 200),
    ],
)
async def test_other_pages_may_not_read_these(server: Wire, lines: list[str], status: int) -> None:
    assert (await server.ask("/static/style.css", lines, method="GET")).status == status


def test_names_that_settings_allow() -> None:
    for said, name, allowed in (
        ({"allowed_hosts": "web, Upshot.Internal"}, "upshot.internal:8321", True),
        ({"allowed_hosts": "web"}, "other", False),
        ({"allowed_hosts": "*"}, "whatever", True),
        ({"public_url": "https://upshot.example/x"}, "upshot.example", True),
        ({}, "10.1.2.3:8321", True),
        ({}, "10.1.2.4", False),
    ):
        viewers = Viewers(Settings.model_validate(said))
        assert (viewers.misdirected(headers(("Host", name)), "10.1.2.3") is None) == allowed, name
    assert Viewers(Settings()).misdirected(headers(("Host", "10.1.2.3")), "::ffff:10.1.2.3") is None


def test_a_page_of_an_allowed_name_reads_its_own() -> None:
    viewers = Viewers(Settings(allowed_hosts="*"))
    own = headers(("Host", "whatever:1"), ("Origin", "https://whatever"))
    assert viewers.foreign_page(own, None) is None
    assert viewers.foreign_page(headers(("Host", "whatever"), ("Origin", "https://other")), None) is not None

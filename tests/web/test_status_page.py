"""The status page over real Kafka and ClickHouse: what it says when all is well, and when it isn't."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web

from tests.upshot_process import WholeStack
from upshot.errors import PartFailed
from upshot.insights.pages.home import OUTCOMES
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.ops.doctor.pages import Worker
from upshot.ops.health import Health, PartHealth
from upshot.ops.telemetry.scrape import parse_page
from upshot.processors.correlate.handler import join_app
from upshot.processors.roles import ROLES
from upshot.processors.store.app import store_app
from upshot.processors.store.migrate import migrate
from upshot.processors.traces.handler import traces_app
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer
from upshot.streams.runtime import Timing
from upshot.streams.runtime.runner import run
from upshot.web.charts.plot import sparkline
from upshot.web.figures import of_role
from upshot.web.pages.home import command_words
from upshot.web.pages.system import share
from upshot.web.rendering import Frame, render
from upshot.web.server import make_app, serve
from upshot.web.status import Status, StatusTable

pytestmark = pytest.mark.stack

PATIENCE = 60.0
"""Seconds until a condition counts as never met: far above what it takes."""
TIMING = Timing(tick_interval=0.05, poll_timeout=0.05)
HOSTILE = "<script>alert('agent')</script>"


@pytest.fixture
async def settings(kafka: KafkaServer, clickhouse: ClickHouseServer) -> Settings:
    """Topics and a database of its own."""
    place = f"upshot_web{uuid4().hex[:12]}"
    settings = Settings(
        kafka_url=kafka.bootstrap,
        clickhouse_url=clickhouse.url.removesuffix("upshot") + place,
        topic_prefix=place + ".",
        deadline_grace=timedelta(0),
        commit_interval=0.2,
        store_interval=0.05,
    )
    await ensure_topics(settings)
    await asyncio.to_thread(migrate, settings)
    return settings


@asynccontextmanager
async def workers(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    apps = [make(settings, TIMING) for make in (join_app, store_app, traces_app)]
    apps += [
        ROLES[name].load()(settings, None).make(settings, TIMING, None) for name in ("alerts", "materialize")
    ]
    tasks = [asyncio.create_task(run(app, stop)) for app in apps]
    try:
        yield
    finally:
        stop.set()
        assert await asyncio.gather(*tasks) == [0] * len(tasks)


class Reader:
    """Reads one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def page(self) -> str:
        async with self._session.get(self._url + "system") as response:
            assert response.status == 200
            assert response.content_type == "text/html"
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            return await response.text()

    async def health(self) -> tuple[int, dict[str, Any]]:
        async with self._session.get(self._url + "healthz") as response:
            return response.status, await response.json()

    async def status_of(self, path: str) -> int:
        async with self._session.get(self._url + path) as response:
            return response.status


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Reader]:
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(make_app(settings), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Reader(session, f"http://127.0.0.1:{runner.addresses[0][1]}/")


async def until(ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool]) -> Any:
    deadline = monotonic() + PATIENCE
    while not enough(answer := await ask()):
        assert monotonic() < deadline, f"not so after {PATIENCE:g} s: {answer}"
        await asyncio.sleep(0.05)
    return answer


async def test_health_follows_the_workers(settings: Settings) -> None:
    async with site(settings) as reader:
        code, said = await reader.health()
        assert code == 503
        assert said["status"] == "unavailable"
        assert said["parts"]["kafka"]["ok"]
        assert said["parts"]["clickhouse"]["ok"]
        assert "upshot worker --role correlate" in said["parts"]["correlate"]["detail"]
        assert not said["parts"]["store"]["ok"]
        async with workers(settings):
            code, said = await until(reader.health, lambda answer: answer[0] == 200)
            assert said["status"] == "ok"
            assert said["parts"]["store"] == {"ok": True, "detail": "nothing left to read", "lag": 0}
        code, said = await until(reader.health, lambda answer: answer[0] == 503)
        assert not said["parts"]["correlate"]["ok"]


async def test_an_empty_stack_says_what_to_do(settings: Settings) -> None:
    async with site(settings) as reader:
        page = await reader.page()
    assert "Nothing was sent yet" in page
    assert "upshot emit outcome --type pr.closed" in page
    assert "not everything works" in page
    assert "<summary>How to send events" not in page


async def test_scores_and_dead_letters_are_shown_and_escaped(settings: Settings) -> None:
    async with site(settings) as reader, workers(settings):
        await send(settings, scores_and_dead_letters())
        page = await until(reader.page, lambda page: "50.0%" in page and "missing_field" in page)
        code, _ = await until(reader.health, lambda answer: answer[1]["parts"]["store"]["lag"] == 0)
    assert code == 200
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(&#39;agent&#39;)&lt;/script&gt;" in page
    assert "not known yet" in page
    assert "0.25" in page
    assert "everything works" in page
    assert "<summary>How to send events" in page


def scores_and_dead_letters() -> list[tuple[str, str, dict[str, Any]]]:
    """An agent with one score of two, a score of an unknown run, an open question, an unusable event."""
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}
    events: list[tuple[str, str, dict[str, Any]]] = [
        ("scores", "r9", {"run_id": "r9", "name": "helpful", "value": 0.25}),
        ("runs", "r8", {"agent": "nobody"}),
    ]
    for number in range(3):
        subject = f"pr:{number}"
        wait = {"run_id": f"r{number}", "agent": HOSTILE, "name": "merged", "subject": subject, "rule": rule}
        events.append(("waits", subject, wait | {"since": "2026-01-01T00:00:00Z"}))
        if number < 2:
            events.append(
                (
                    "outcomes",
                    subject,
                    {"type": "pr.closed", "subject": subject, "data": {"merged": number == 0}},
                )
            )
    return events


async def send(settings: Settings, events: list[tuple[str, str, dict[str, Any]]]) -> None:
    async with event_producer(settings) as producer:
        for topic, key, event in events:
            await (await producer.send(topic, json.dumps(event).encode(), key=key))


async def test_without_kafka_and_clickhouse_it_says_so() -> None:
    nowhere = Settings(
        kafka_url=f"127.0.0.1:{free_port()}", clickhouse_url=f"http://app@127.0.0.1:{free_port()}"
    )
    async with site(nowhere) as reader:
        code, said = await reader.health()
        page = await reader.page()
    assert code == 503
    assert [name for name, part in said["parts"].items() if part["ok"]] == []
    assert nowhere.kafka_url in said["parts"]["kafka"]["detail"]
    assert "There are no figures" in page


def test_the_page_shows_text_of_others_as_what_it_is() -> None:
    hostile = "\u202egnp\u2066\x1b[31m\x85\u200b<b>&" + "x" * 5_000
    row = {"name": hostile, "agent": hostile, "scored": 1, "pending": 0, "rate_percent": None, "mean": 1.0}
    status = Status(
        datetime.now(UTC),
        Health(
            [
                PartHealth("kafka", False, hostile),
                PartHealth("clickhouse", True, ""),
                PartHealth("store", True, "7 records behind", 7),
            ]
        ),
        lags={"store": [0, 9, 7]},
        rates={"store": [0.0, 12.5, 3.25]},
        since={"kafka": datetime(2026, 3, 1, 12, tzinfo=UTC)},
        agents=StatusTable([row], 9_950),
    )
    status = replace(
        status,
        counts=dict.fromkeys(("runs", "waits_open", "outcomes", "scores", "dead_letters", "overdue"), 1),
    )
    sparks = {"store": sparkline(status.lags["store"])}
    rates = {"store": sparkline(status.rates["store"])}
    words = {"findings": [], "share": share, "sparks": sparks, "rate_sparks": rates, "outcomes": OUTCOMES,
             **command_words(Settings())}  # fmt: skip
    shown = render("system.html", Frame(path="/system"), title="System", status=status, **words)
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    assert r"\u202egnp" in shown and "&lt;b&gt;&amp;" in shown and "<b>" not in shown
    visible = re.sub(r'href="[^"]*"', "", shown)
    assert "x" * 1_001 not in visible and len(visible) < 20_000
    assert '<dd><a href="/waits">1</a></dd>' in shown and "FROM+outcomes" in shown
    stranger = Frame(path="/system", role="nobody")
    alone = render("system.html", stranger, title="System", status=status, **words)
    assert 'href="/waits"' not in alone, "whoever may not read pages is led to none"
    assert "up to 9 records behind in the last half hour" in shown
    assert "3.25 records a second, up to 12.5 in the last half hour" in shown
    assert "So since 2026-03-01 12:00:00 (" in shown
    assert "and 9,950 more: <code>upshot query --question scores-by-agent</code>" in shown


async def test_many_names_are_bounded(settings: Settings) -> None:
    names = 300
    async with workers(settings), site(settings) as reader:
        async with event_producer(settings) as producer:
            for number in range(names):
                score = {"run_id": "r", "name": f"name-{number}", "value": number, "key": "k"}
                await producer.send("scores", json.dumps(score).encode(), key="r")
                if number == 7:
                    await producer.send("scores", json.dumps(score | {"run_id": "r2"}).encode(), key="r2")
        shown = await until(reader.page, lambda page: "and 250 more" in page)
    assert shown.count(">name-") == 62, "50 of the table, 12 of the latest"
    assert ">name-7</a>" in shown, "those with the most in them come first"


async def test_a_database_without_tables_is_no_crash(
    kafka: KafkaServer, clickhouse: ClickHouseServer
) -> None:
    bare = Settings(
        kafka_url=kafka.bootstrap,
        clickhouse_url=clickhouse.url.removesuffix("upshot") + "system",
        topic_prefix=f"web{uuid4().hex}.",
    )
    async with site(bare) as reader:
        assert "There are no figures: ClickHouse refused the query" in await reader.page()


async def test_workers_of_a_local_stack_tell_what_they_do(stack: WholeStack) -> None:
    async with aiohttp.ClientSession() as session:
        page = await Reader(session, f"http://127.0.0.1:{stack.ports['web']}/").page()
    join, store = (_figures_of(page, role) for role in ("correlate", "store"))
    assert re.match(r"<span>[\d.,]+ records/s</span>, <span>[\d,]+ subjects</span>, .*MiB</span>$", join)
    assert re.match(r"<span>[\d.,]+ records/s</span>, <span>[\d.,]+ rows/s</span>, .*MiB</span>$", store)


def _figures_of(page: str, role: str) -> str:
    """What the tile of a role says that its workers do."""
    found = re.search(rf'Worker: {role}</h2>\s*<p>.*</p>\s*<p class="figures">(.*)</p>', page)
    assert found, page
    return found[1]


def test_figures_of_a_recovery_and_of_a_deadline() -> None:
    before = parse_page("http://w/", 'process_uptime_seconds{role="correlate"} 1\n', 1.0)
    after = parse_page(
        "http://w/",
        'process_uptime_seconds{role="correlate"} 3\nupshot_recovery_remaining{role="correlate"} 5000\n'
        'upshot_join_deadline_next_seconds{role="correlate"} -7200\n',
        3.0,
    )
    figures = of_role([Worker(before, after)])
    assert figures == ["5,000 records to recover", "overdue by 2 h", "0 MiB"]


async def test_style_and_script_are_its_own(settings: Settings) -> None:
    async with site(settings) as reader:
        assert await reader.status_of("static/style.css") == 200
        assert await reader.status_of("static/refresh.js") == 200
        assert await reader.status_of("static/../server.py") == 404
        assert "http://" not in (await reader.page()).replace(f"http://{settings.kafka_url}", "")


async def test_a_taken_port_is_named(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PartFailed, match=str(port)):
            await serve(settings, "127.0.0.1", port, asyncio.Event())


async def test_the_process_serves_until_it_is_told_to_stop(settings: Settings) -> None:
    port = free_port()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "upshot.web", "--port", str(port)),
        env={
            "UPSHOT_KAFKA_URL": settings.kafka_url,
            "UPSHOT_CLICKHOUSE_URL": settings.clickhouse_url.get_secret_value(),
            "UPSHOT_TOPIC_PREFIX": settings.topic_prefix,
        },
    )
    try:
        async with aiohttp.ClientSession() as session:
            reader = Reader(session, f"http://127.0.0.1:{port}/")
            await until(lambda: answers(reader), bool)
            assert "Upshot" in await reader.page()
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await child.wait() == 0
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def answers(reader: Reader) -> bool:
    try:
        return (await reader.health())[0] == 503
    except aiohttp.ClientConnectionError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

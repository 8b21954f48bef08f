"""Events over HTTP reach Kafka as they were meant, or none of a request does."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from tests.ingest.conftest import Client, open_api, read
from upshot.errors import ConfigurationError
from upshot.ingest.bodies import MAX_BODY
from upshot.ingest.limits import MAX_EVENTS
from upshot.ingest.routes import OPEN_TOPICS
from upshot.settings import Settings
from upshot.streams.events.records import decode_outcome
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.incarnations import read as remembered_by
from upshot.streams.kafka.topic_ids import describe

pytestmark = pytest.mark.stack

OUTCOME = {"type": "pr.closed", "subject": "pr:acme/web#12", "data": {"merged": True}}
CLOUD = OUTCOME | {"specversion": "1.0", "id": "e1", "source": "/github", "time": "2026-11-01T00:00:00Z"}
KEY = "a-key-of-somebody-1"
WAIT = {
    "run_id": "r1",
    "name": "merged",
    "subject": "pr:acme/web#12",
    "rule": {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"},
}
ONE_OF_EACH: dict[str, tuple[dict[str, Any], str, str]] = {
    "runs": ({"run_id": "r1", "agent": "support"}, "r1", "r1"),
    "steps": ({"run_id": "r1", "step_id": "s1", "name": "draft"}, "r1", "s1"),
    "outcomes": (OUTCOME | {"id": "o1"}, "pr:acme/web#12", "o1"),
    "waits": (WAIT | {"wait_id": "w1"}, "pr:acme/web#12", "w1"),
    "exposures": (
        {"exposure_id": "x1", "run_id": "r1", "experiment": "tone", "variant": "a"},
        "r1",
        "x1",
    ),
    "scores": ({"score_id": "c1", "run_id": "r1", "name": "helpful", "value": 0.8}, "r1", "c1"),
    "deferrals": ({"followup_id": "f1", "run_id": "r1", "scorer": "stayed_closed"}, "f1", "f1"),
    "alerts": (
        {
            "alert_id": "a1",
            "name": "refunds",
            "run_id": "r1",
            "score_id": "c1",
            "value": 1,
            "raised_at": "2026-11-01T00:00:00Z",
        },
        "a1",
        "a1",
    ),
    "alert-rules": (
        {
            "name": "refunds",
            "kind": "score",
            "score": "refunded",
            "above": 100,
            "changed_at": "2026-11-01T00:00:00Z",
        },
        "refunds",
        "refunds",
    ),
    "experiments": (
        {"experiment": "tone", "variants": {"a": 1.0}, "changed_at": "2026-11-01T00:00:00Z"},
        "tone",
        "tone",
    ),
}
"""By topic: an event, its key, its id."""


def test_every_open_topic_is_tried() -> None:
    assert {topic.name for topic in OPEN_TOPICS} == set(ONE_OF_EACH)


async def test_each_kind_of_event_is_taken(settings: Settings, client: Client) -> None:
    for topic, (event, key, identity) in ONE_OF_EACH.items():
        assert await client.post(f"/v1/{topic}", event) == (202, {"accepted": 1, "ids": [identity]})
        [record] = await read(settings, topic, 1)
        assert (record.key, msgspec.json.decode(record.value)) == (key.encode(), event)


async def test_what_is_answered_is_stored_under_that_id(settings: Settings, client: Client) -> None:
    events = [OUTCOME | {"subject": f"pr:{number}"} for number in range(20)]
    status, answer = await client.post("/v1/outcomes", events)
    assert (status, answer["accepted"]) == (202, 20)
    records = await read(settings, "outcomes", 20)
    # Workers, unlike these plain records, know which topic of that name it is.
    async with admin_client(settings) as admin:
        [topic] = (await describe(admin._client, [settings.topic("outcomes")]) or {}).values()
    noted = await remembered_by(settings)
    assert noted
    found = {
        outcome.subject: f"{outcome.id}-{noted.of(topic.id)}" for outcome in map(decode_outcome, records)
    }
    assert [found[event["subject"]] for event in events] == answer["ids"]  # type: ignore[index]


async def test_lines_and_compressed_bodies_are_read(settings: Settings, client: Client) -> None:
    lines = b"\n".join(msgspec.json.encode({"run_id": f"r{number}"}) for number in range(3))
    packed = gzip.compress(lines)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert (await client.post("/v1/runs", packed, headers))[1]["ids"] == ["r0", "r1", "r2"]
    assert len(await read(settings, "runs", 3)) == 3


async def test_one_wrong_event_keeps_all_out(settings: Settings, client: Client) -> None:
    events = [{"run_id": "good"}, {"run_id": 5}, {"run_id": "fine"}, {"agent": "nobody"}]
    status, problem = await client.post("/v1/runs", events)
    assert status == 400
    assert "none was taken" in problem["detail"]
    assert [(item["where"], item["reason"]) for item in problem["items"]] == [
        ("item 2", "wrong_type"),
        ("item 4", "missing_field"),
    ]
    assert await read(settings, "runs", 0) == []


async def test_cloudevents_structured_batched_and_binary_say_the_same(
    settings: Settings, client: Client
) -> None:
    structured = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    assert (await client.post("/v1/events", CLOUD, structured))[0] == 202
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    assert (await client.post("/v1/events", [CLOUD], batch))[0] == 202
    binary = {f"ce-{name}": str(text) for name, text in CLOUD.items() if name != "data"}
    binary["ce-subject"] = "pr:acme%2Fweb%2312"
    assert (await client.post("/v1/events", CLOUD["data"], binary))[0] == 202
    encoded = {**CLOUD, "data_base64": "eyJtZXJnZWQiOnRydWV9"}
    del encoded["data"]
    assert (await client.post("/v1/events", encoded, structured))[1] == {"accepted": 1, "ids": ["e1"]}
    records = await read(settings, "outcomes", 4)
    first, *others = map(decode_outcome, records)
    assert {record.key for record in records} == {b"pr:acme/web#12"}
    assert first.model_dump(mode="json", exclude_none=True) == CLOUD
    assert others == [first, first, first]


async def test_an_empty_batch_is_taken(settings: Settings, client: Client) -> None:
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    for path, headers in (("/v1/events", batch), ("/v1/runs", {})):
        assert await client.post(path, b" []", headers) == (202, {"accepted": 0, "ids": []})
    assert await read(settings, "outcomes", 0) == []


async def test_a_request_that_comes_again_has_the_same_ids(settings: Settings, client: Client) -> None:
    headers = {"Idempotency-Key": "order-77"}
    events = [OUTCOME, OUTCOME | {"id": "own"}]
    first = await client.post("/v1/outcomes", events, headers)
    assert first == await client.post("/v1/outcomes", events, headers)
    assert first[1]["ids"][1] == "own"
    assert first[1]["ids"][0] not in (await client.post("/v1/outcomes", events))[1]["ids"]
    binary = headers | {"ce-type": "a", "ce-subject": "s"}
    assert await client.post("/v1/events", {}, binary) == await client.post("/v1/events", {}, binary)
    found = [decode_outcome(record).id for record in await read(settings, "outcomes", 8)]
    assert found.count(first[1]["ids"][0]) == 2


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "said"),
    [
        ("/v1/runs", b"", {}, 400, "no event"),
        ("/v1/runs", b"\n", {}, 400, "no event"),
        ("/v1/runs", b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        ("/v1/runs", b"{}", {"Content-Type": ""}, 415, "application/json"),
        ("/v1/runs", b"no gzip", {"Content-Encoding": "gzip"}, 400, "the body can't be read"),
        ("/v1/runs", b" " * (MAX_BODY + 1), {}, 413, "nothing was taken"),
        ("/v1/runs", gzip.compress(b" " * (MAX_BODY + 1)), {"Content-Encoding": "gzip"}, 413, "nothing"),
        ("/v1/runs", b"{}\n" * (MAX_EVENTS + 1), {}, 413, "nothing was taken"),
        ("/v1/events", OUTCOME, {}, 415, "application/cloudevents+json"),
        ("/v1/events", b"{}", {"Content-Type": "application/cloudevents-batch+json"}, 400, "JSON array"),
        ("/v1/events", b"[", {"Content-Type": "application/cloudevents-batch+json"}, 400, "JSON"),
        ("/v1/events", b"[1]", {"Content-Type": "application/cloudevents-batch+json"}, 400, "wrong"),
        ("/v1/events", b"nonsense", {"Content-Type": "application/cloudevents+json"}, 400, "wrong"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    client: Client, path: str, body: Any, headers: dict[str, str], status: int, said: str
) -> None:
    found, problem = await client.post(path, body, headers)
    assert (found, problem["status"]) == (status, status)
    assert said in problem["detail"]


async def test_only_what_clients_write_has_a_door(client: Client) -> None:
    assert (await client.post("/v1/dead-letters", {}))[0] == 404
    assert (await client.ask("GET", "/v1/runs")).status == 405


async def test_keys_open_the_door_and_nothing_else_does(settings: Settings) -> None:
    guarded = settings.model_copy(update={"api_keys": SecretStr(f"the-first-key-of-all, {KEY}")})
    async with open_api(guarded) as client:
        for wrong in ({}, {"Authorization": "Bearer " + KEY[:-1]}, {"Authorization": "Basic " + KEY}):
            status, problem = await client.post("/v1/runs", {"run_id": "r1"}, wrong)
            assert (status, problem["title"]) == (401, "Unauthorized")
            assert KEY not in problem["detail"]
        for right in (KEY, "the-first-key-of-all"):
            headers = {"Authorization": f"Bearer {right}", "X-Forwarded-For": "203.0.113.7"}
            assert (await client.post("/v1/runs", {"run_id": "r1"}, headers))[0] == 202
    assert len(await read(settings, "runs", 2)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "upshot.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.7"},
    ],
)
async def test_without_keys_only_this_machine_may(
    client: Client, settings: Settings, headers: dict[str, str]
) -> None:
    status, problem = await client.post("/v1/runs", {"run_id": "r1"}, headers)
    assert status == 401
    assert "UPSHOT_API_KEYS" in problem["detail"]
    assert await read(settings, "runs", 0) == []


async def test_a_short_key_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="16 characters"):
        async with open_api(settings.model_copy(update={"api_keys": SecretStr("secret")})):
            pass


async def test_without_kafka_the_sender_is_told_to_come_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nowhere = Settings(kafka_url=f"127.0.0.1:{nobody.getsockname()[1]}")
        async with open_api(nowhere) as client:
            status, problem = await client.post("/v1/runs", {"run_id": "r1"})
            assert (status, problem["title"]) == (503, "Service Unavailable")
            response = await client.ask("POST", "/v1/runs", json={"run_id": "r1"})
            assert int(response.headers["Retry-After"]) > 0

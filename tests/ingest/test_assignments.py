"""`POST /v1/assignments` over real Kafka: the SDK's variants, one exposure for a run, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.ingest.conftest import Client, open_api, read, values
from upshot import App
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics

pytestmark = pytest.mark.stack

TONE = {"experiment": "tone", "control": "plain", "variants": {"plain": 1.0, "warm": 1.0}, "unit": "user"}
KEY = "0123456789abcdef"


@pytest.fixture
async def settings(kafka: KafkaServer, tmp_path: Path) -> Settings:
    settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"as{uuid4().hex[:12]}.", data_dir=tmp_path)
    await ensure_topics(settings)
    return settings


async def register(client: Client, *records: dict[str, Any]) -> None:
    stated = [{"changed_at": "2026-05-01T00:00:00Z", "strategy": "bucket"} | record for record in records]
    status, answer = await client.post("/v1/experiments", stated)
    assert status == 202, answer


async def test_variants_are_those_of_the_sdk_and_a_run_has_one_exposure(settings: Settings) -> None:
    async with open_api(settings) as client:
        await register(client, TONE, TONE | {"experiment": "off", "traffic": 0.0})
        asked = [{"experiment": "tone", "run_id": f"r{n}", "unit": f"user-{n}"} for n in range(40)]
        status, first = await client.post("/v1/assignments", asked)
        assert status == 200, first
        assert await client.post("/v1/assignments", asked) == (200, first)
        outside = {"experiment": "off", "run_id": "r0", "unit": "user-0"}
        [answer] = (await client.post("/v1/assignments", outside))[1]["assignments"]
        assert (answer["variant"], answer["because"]) == ("plain", "traffic")
        peeked = {"experiment": "tone", "unit": "user-99", "peek": True}
        assert (await client.post("/v1/assignments", peeked))[0] == 200
        # The registry changes; the runs keep their variants.
        await register(client, TONE | {"variants": {"plain": 0.0, "warm": 1.0}, "phase": "2"})
        assert await client.post("/v1/assignments", asked) == (200, first)
        found = values(await read(settings, "exposures", 40))
    tone = App("support", settings=settings).experiment(
        "tone", {"plain": 0, "warm": 1}, control="plain", unit="user"
    )
    by_sdk = [tone.peek(one["unit"]).name for one in asked]
    tone._app.registry.close()
    answered = [one["variant"] for one in first["assignments"]]
    assert {"plain", "warm"} == set(answered)
    assert [one["unit"] for one in first["assignments"]] == [one["unit"] for one in asked]
    assert sorted((one["run_id"], one["variant"]) for one in found) == sorted(
        (one["run_id"], variant) for one, variant in zip(asked, answered, strict=True)
    )
    assert {(one["strategy"], one["weights_from"], one["probability"]) for one in found} == {
        ("bucket", "registry", 0.5)
    }
    code = App("other", settings=Settings(kafka_url=settings.kafka_url, data_dir=settings.data_dir / "x"))
    declared = code.experiment("tone", {"plain": 0, "warm": 1}, control="plain", unit="user")
    assert answered == [declared.peek(one["unit"]).name for one in asked] != by_sdk
    code.registry.close()


REFUSALS: list[tuple[Any, int, str]] = [
    ({"experiment": "tune", "run_id": "r"}, 404, "the registry has no experiment 'tune': it has tone"),
    ({"experiment": "tone", "unit": "u"}, 400, "run_id is missing"),
    ({"experiment": "tone", "run_id": "r", "unit": 7}, 400, "unit"),
    ({"experiment": "tone", "run_id": "r", "schema_version": 2}, 400, "schema version 2 is not known"),
    ([{"experiment": "tone", "run_id": "r"}, {}], 400, "1 of 2"),
    (b"", 400, "no request in the body"),
    (b"\xff", 400, "1 of 1"),
    ([], 400, "no request in the body"),
]


async def test_refusals_say_what_to_do(settings: Settings) -> None:
    async with open_api(settings) as client:
        await register(client, TONE)
        for body, status, says in REFUSALS:
            found, answer = await client.post("/v1/assignments", body)
            assert (found, says in str(answer)) == (status, True), (body, answer)
        assert not await read(settings, "exposures", 0)


async def test_keys_and_content_types_are_those_of_the_other_routes(settings: Settings) -> None:
    async with open_api(settings.model_copy(update={"api_keys": type(settings.api_keys)(KEY)})) as client:
        asked = {"experiment": "tone", "run_id": "r"}
        assert (await client.post("/v1/assignments", asked))[0] == 401
        key = {"Authorization": f"Bearer {KEY}"}
        assert (await client.post("/v1/assignments", asked, key))[0] == 404
        assert (await client.post("/v1/assignments", asked, key | {"Content-Type": "text/plain"}))[0] == 415


async def test_a_registry_out_of_reach_is_answered_with_503(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upshot.ingest.assignments.READ_WITHIN", 0.3)
    async with open_api(settings.model_copy(update={"kafka_url": "127.0.0.1:9"})) as client:
        answer = await client.ask("POST", "/v1/assignments", json={"experiment": "tone", "run_id": "r"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "can't be read now; nothing was recorded" in answer.text

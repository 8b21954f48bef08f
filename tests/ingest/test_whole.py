"""Through the door of a whole stack: what came in by HTTP alone is scored and stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest

from tests.ingest.conftest import Client
from tests.otel_requests.otlp_requests import agent_run, as_json
from tests.upshot_process import WholeStack

pytestmark = pytest.mark.stack


@pytest.fixture
async def client(stack: WholeStack) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, f"http://127.0.0.1:{stack.ports['web']}")


async def test_a_trace_a_wait_and_an_outcome_give_a_score(stack: WholeStack, client: Client) -> None:
    trace = uuid4().hex
    request = as_json(agent_run())
    for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span["traceId"] = trace
    assert await client.post("/v1/traces", request) == (200, {})
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}
    wait = {"run_id": trace, "name": "merged", "subject": f"pr:{trace}", "rule": rule}
    assert (await client.post("/v1/waits", wait))[0] == 202
    binary = {"ce-type": "pr.closed", "ce-subject": f"pr:{trace}", "ce-id": "e1", "ce-source": "/ci"}
    assert (await client.post("/v1/events", {"merged": True}, binary))[1]["ids"] == ["e1"]
    scored = f"SELECT name, value, agent FROM current_scores WHERE run_id = '{trace}' AND agent != ''"
    stack.eventually(scored, [{"name": "merged", "value": 1, "agent": "support"}])
    steps = f"SELECT kind, input_tokens FROM steps WHERE run_id = '{trace}' ORDER BY kind"
    stack.eventually(
        steps,
        [
            {"kind": "agent", "input_tokens": None},
            {"kind": "model", "input_tokens": 900},
            {"kind": "tool", "input_tokens": None},
        ],
    )

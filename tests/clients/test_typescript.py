"""The client for TypeScript: its own tests by node, its ids, and its events at a real HTTP API."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.ingest.conftest import open_api, read
from tools.reference.typescript import types
from upshot.local.kafka import KafkaServer
from upshot.schemas.exposures import Exposure
from upshot.schemas.ids import fact_id
from upshot.schemas.runs import Run
from upshot.schemas.steps import Step
from upshot.settings import Settings
from upshot.streams.events.records import decode, decode_outcome, decode_score, decode_wait
from upshot.streams.kafka.admin import ensure_topics

CLIENT = Path(__file__).parents[2] / "clients" / "typescript"
NODE = shutil.which("node")
with_node = pytest.mark.skipif(NODE is None, reason="there is no node here")

AGENT = """
import { Upshot, chooseVariant } from "CLIENT/index.js";
const upshot = new Upshot({ url: process.argv[1] });
const EXPERIMENT = {
  experiment: "tone", control: "plain", variants: { plain: 1, warm: 1 }, unit: "user", strategy: "bucket",
  changed_at: "2026-05-01T00:00:00Z",
};
await upshot.send("experiments", EXPERIMENT);
const id = await upshot.run("support", async (run) => {
  for (;;) {
    const { variant, because } = await run.assign("tone", "user-1", { fallback: "plain" });
    if (variant === chooseVariant("tone", "user-1", EXPERIMENT.variants).variant) break;
    if (!because.includes("no experiment")) throw new Error(because);
  }
  await run.step("draft", (step) => step.usage({ model: "m", input_tokens: 3 }), { kind: "model" });
  await run.wait("stays", "ticket:1", { on: { "ticket.reopened": false }, within: "P7D", otherwise: true });
  await run.score("helpful", true);
  return run.id;
});
await upshot.outcome("ticket.reopened", "ticket:1", { by: "customer" });
console.log(id);
"""


def test_ids_are_those_of_every_client() -> None:
    vectors = json.loads((CLIENT.parent / "ids.json").read_text())
    assert [fact_id(*vector["parts"]) for vector in vectors] == [vector["id"] for vector in vectors]


def test_types_are_those_of_the_schemas() -> None:
    assert (CLIENT / "events.d.ts").read_text() == types(), "write it with  make docs"
    assert "export interface WaitEvent {" in types()
    assert '  "alert-rules": AlertRuleEvent;' in types()


@with_node
def test_its_own_tests() -> None:
    tests = sorted(map(str, (CLIENT / "test").glob("*.test.js")))
    ran = subprocess.run([str(NODE), "--test", *tests], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout


@with_node
@pytest.mark.stack
async def test_what_it_sends_is_taken(kafka: KafkaServer) -> None:
    settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"ts{uuid4().hex[:12]}.")
    await ensure_topics(settings)
    async with open_api(settings) as door:
        code = ["--input-type=module", "-e", AGENT.replace("CLIENT", str(CLIENT)), door.url]
        process = await asyncio.create_subprocess_exec(str(NODE), *code, stdout=asyncio.subprocess.PIPE)
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    run_id = said.decode().strip()
    runs = [decode(Run, record) for record in await read(settings, "runs", 2)]
    assert [(run.run_id, run.status) for run in runs] == [(run_id, "running"), (run_id, "completed")]
    [step] = [decode(Step, record) for record in await read(settings, "steps", 1)]
    assert (step.name, step.model, step.input_tokens) == ("draft", "m", 3)
    [wait] = [decode_wait(record) for record in await read(settings, "waits", 1)]
    assert wait.wait_id == fact_id("wait", run_id, "", "stays", "ticket:1")
    [score] = [decode_score(record) for record in await read(settings, "scores", 1)]
    assert (score.run_id, score.value) == (run_id, True)
    [exposure] = [decode(Exposure, record) for record in await read(settings, "exposures", 1)]
    assert (exposure.run_id, exposure.experiment, exposure.variant) == (run_id, "tone", "warm")
    [outcome] = [decode_outcome(record) for record in await read(settings, "outcomes", 1)]
    assert (outcome.subject, outcome.data) == ("ticket:1", {"by": "customer"})

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { Upshot, UpshotError, waitId } from "../index.js";

/** A server that answers with the next of `answers`, then always 202; and what it was sent. */
async function served(answers, code) {
  const requests = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const events = JSON.parse(body);
    requests.push({ topic: request.url.replace("/v1/", ""), headers: request.headers, events });
    const [status, told, headers] = answers.shift() ?? [202, { accepted: events.length, ids: events.map((_, n) => `${n}`) }];
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(told));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    await code(new Upshot({ url: `http://127.0.0.1:${server.address().port}/`, key: "k".repeat(16) }), requests);
  } finally {
    server.close();
  }
}

const of = (requests, topic) => requests.filter((request) => request.topic === topic).flatMap((request) => request.events);

test("a run with its steps, scores and waits", async () => {
  await served([], async (upshot, requests) => {
    const given = await upshot.run("support", async (run) => {
      run.setAttributes({ language: "Go" });
      await run.step("draft", (step) => step.usage({ model: "m", input_tokens: 3 }), { kind: "model" });
      await run.step("outer", (outer) => run.step("inner", (inner) => inner.score("fresh", true), { parent: outer }));
      await run.wait("merged", "pr:1", { on: { "pr.closed": "data.merged", x: { score: 1, when: "data.a" } }, within: "P14D", otherwise: false });
      return run.id;
    });
    const [began, ended] = of(requests, "runs");
    assert.deepEqual([began.status, ended.status, ended.run_id, ended.attributes], ["running", "completed", given, { language: "Go" }]);
    const steps = of(requests, "steps");
    assert.deepEqual(steps.map((step) => [step.name, step.status]), [["draft", "ok"], ["inner", "ok"], ["outer", "ok"]]);
    assert.equal(steps[1].parent_step_id, steps[2].step_id);
    assert.deepEqual([steps[0].model, steps[0].input_tokens, steps[0].kind], ["m", 3, "model"]);
    const [score] = of(requests, "scores");
    assert.deepEqual([score.run_id, score.step_id, score.value], [given, steps[1].step_id, true]);
    const [wait] = of(requests, "waits");
    assert.equal(wait.wait_id, waitId(given, null, "merged", "pr:1"));
    assert.deepEqual(wait.rule, { on: { "pr.closed": { score: "data.merged" }, x: { score: 1, when: "data.a" } }, within: "P14D", else: false });
    assert.equal(wait.since, began.started_at);
    assert.equal(requests[0].headers.authorization, `Bearer ${"k".repeat(16)}`);
  });
});

test("a run that throws is failed, and throws all the same", async () => {
  await served([], async (upshot, requests) => {
    const fails = upshot.run("support", (run) => run.step("draft", () => { throw new TypeError("no"); }));
    await assert.rejects(fails, TypeError);
    assert.deepEqual(of(requests, "runs").map((run) => run.status), ["running", "failed"]);
    assert.deepEqual([of(requests, "runs")[1].error, of(requests, "steps")[0].error_type], ["TypeError: no", "TypeError"]);
  });
});

test("what the server couldn't take is sent again, and counts once", async () => {
  await served([[503, { detail: "busy" }, { "Retry-After": "0.01" }]], async (upshot, requests) => {
    const id = await upshot.outcome("pr.closed", "pr:1", { merged: true });
    assert.equal(requests.length, 2);
    assert.equal(requests[0].headers["idempotency-key"], requests[1].headers["idempotency-key"]);
    assert.deepEqual(requests[0].events, requests[1].events);
    assert.equal(requests[1].events[0].id, id);
  });
});

test("wrong events are refused with the places", async () => {
  const items = [{ where: "item 1", reason: "missing_field", detail: "run_id: Field required" }];
  await served([[400, { detail: "1 of 1 events are wrong", items }]], async (upshot) => {
    const error = await upshot.send("runs", {}).catch((caught) => caught);
    assert.ok(error instanceof UpshotError);
    assert.deepEqual([error.status, error.items], [400, items]);
    await assert.rejects(upshot.score("r", "x", Number.NaN), /no score for x/);
  });
});

test("a run that began elsewhere", async () => {
  await served([], async (upshot, requests) => {
    const run = upshot.attach("order-7");
    await run.step("send", () => 1);
    await run.score("approved", true);
    await run.flush();
    assert.deepEqual(requests.map((request) => [request.topic, request.events[0].run_id]), [["scores", "order-7"], ["steps", "order-7"]]);
  });
});

test("a server that is away is told", async () => {
  const upshot = new Upshot({ url: "http://127.0.0.1:1", retries: 0 });
  await assert.rejects(upshot.outcome("a", "s"), /can't be reached/);
});

test("a variant is asked for with the run, and a fallback outlives the server", async () => {
  const assignment = { experiment: "tone", variant: "warm", exposed: true, because: null, unit: "user-1" };
  const refused = [404, { detail: "the registry has no experiment 'tone'" }];
  await served([[200, { assignments: [assignment] }], refused, refused], async (upshot, requests) => {
    const run = upshot.attach("run-7");
    assert.deepEqual(await run.assign("tone", "user-1", { attributes: { plan: "pro" } }), assignment);
    const [asked] = of(requests, "assignments");
    assert.deepEqual(asked, { experiment: "tone", unit: "user-1", run_id: "run-7", attributes: { plan: "pro" } });
    const served = await run.assign("tone", "user-1", { fallback: "plain" });
    assert.deepEqual([served.variant, served.exposed], ["plain", false]);
    assert.match(served.because, /no experiment 'tone'/);
    await assert.rejects(run.assign("tone", "user-1"), /no experiment 'tone'/);
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { exposureId, factId, givenScoreId, newRunId, newStepId, waitId } from "../ids.js";

const vectors = JSON.parse(readFileSync(new URL("../../ids.json", import.meta.url), "utf8"));

for (const { parts, id } of vectors) {
  test(`the id of ${JSON.stringify(parts).slice(0, 60)}`, () => assert.equal(factId(...parts), id));
}

test("ids by what they are about", () => {
  assert.equal(waitId("r1", null, "merged", "pr:acme/web#12"), factId("wait", "r1", "", "merged", "pr:acme/web#12"));
  assert.equal(givenScoreId("r1", "s1", "helpful"), factId("given", "r1", "s1", "helpful", ""));
  assert.equal(exposureId("r1", "greeting"), factId("exposure", "r1", "greeting"));
});

test("new ids look like those of the SDK for Python, and differ", () => {
  assert.match(newRunId(), /^[0-9a-f]{32}-[0-9a-f]{16}$/);
  assert.match(newStepId(), /^[0-9a-f]{16}$/);
  assert.notEqual(newRunId(), newRunId());
});

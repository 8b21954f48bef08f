import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { HASH, chooseVariant, draw } from "../experiments.js";

const vectors = JSON.parse(readFileSync(new URL("../../../upshot/experiments/vectors.json", import.meta.url), "utf8"));

for (const { experiment, unit, weights, draws, variant, probability } of vectors.assignments) {
  test(`the variant of ${JSON.stringify(unit).slice(0, 60)} in ${JSON.stringify(experiment).slice(0, 60)}`, () => {
    for (const [arm, expected] of Object.entries(draws)) assert.equal(draw(HASH, experiment, unit, arm), expected);
    assert.deepEqual(chooseVariant(experiment, unit, weights), { variant, probability });
  });
}

for (const { parts, draw: expected } of vectors.draws) {
  test(`the number of ${JSON.stringify(parts).slice(0, 60)}`, () => assert.equal(draw(...parts), expected));
}

test("without a positive weight there is no variant", () => {
  assert.equal(chooseVariant("e", "u", { a: 0, b: -1 }), undefined);
});
